//! Lists in pages of 100, as SNS gives them. The token is the position of the next page.

use super::{Context, Error};

/// Entries on a page.
const PAGE: usize = 100;

/// One page of a list: the element `name` with a `member` for each entry, and the token of the next one if there is more.
pub(super) fn page<T>(
    context: &Context<'_>,
    name: &str,
    entries: &[T],
    member: impl Fn(&T) -> String,
) -> Result<String, Error> {
    let from = match context.get("NextToken") {
        None => 0,
        Some(token) => token.parse::<usize>().map_err(|_| Error::invalid("nextToken"))?,
    };
    let rest = entries.get(from..).unwrap_or_default();
    let members: String =
        rest.iter().take(PAGE).map(|entry| format!("<member>{}</member>", member(entry))).collect();
    let next = match rest.len() > PAGE {
        true => format!("<NextToken>{}</NextToken>", from + PAGE),
        false => String::new(),
    };
    Ok(format!("<{name}>{members}</{name}>{next}"))
}
