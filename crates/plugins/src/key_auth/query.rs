//! Arguments of a query or of a form: finding one by its name, and the text without some of them.

use std::borrow::Cow;

use url::form_urlencoded;

use super::Found;

/// The value under a name. An argument without `=` has none.
pub(super) fn find<'t>(text: &'t [u8], name: &str) -> Found<'t> {
    let mut found = Found::Nothing;
    for (index, value) in named(text, name).enumerate() {
        match value {
            _ if index > 0 => return Found::Several,
            Some(value) => found = Found::One(value),
            None => {}
        }
    }
    found
}

/// The values of the arguments of a name; `None` for one without `=`.
fn named<'t>(text: &'t [u8], name: &str) -> impl Iterator<Item = Option<Cow<'t, [u8]>>> {
    let arguments = text.split(|byte| *byte == b'&').filter(|argument| is_named(argument, name));
    arguments.map(|argument| {
        argument.contains(&b'=').then(|| {
            let (_, value) = form_urlencoded::parse(argument).next().unwrap_or_default();
            Cow::Owned(value.into_owned().into_bytes())
        })
    })
}

fn is_named(argument: &[u8], name: &str) -> bool {
    form_urlencoded::parse(argument).next().is_some_and(|(found, _)| found == name)
}

/// The text without the arguments of these names; `None` if it has none of them. All others stay as they were written.
pub(super) fn without(text: &[u8], names: &[String]) -> Option<Vec<u8>> {
    let is_one = |argument: &&[u8]| names.iter().any(|name| is_named(argument, name));
    let arguments = || text.split(|byte| *byte == b'&');
    arguments().any(|argument| is_one(&argument)).then(|| {
        let others: Vec<_> = arguments().filter(|argument| !is_one(argument)).collect();
        others.join(&b'&')
    })
}
