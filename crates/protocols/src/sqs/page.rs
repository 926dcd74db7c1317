//! Pages of queues, by name: a token is the name of the last queue of the page before, so that what is made and ended between two pages neither
//! repeats a queue nor hides one.

use super::Error;

const MAX_RESULTS: usize = 1_000;

/// A page.
pub(super) struct Page<'n> {
    pub(super) names: Vec<&'n str>,
    /// Only for those who ask for pages, and where there is more.
    pub(super) next_token: Option<String>,
}

/// How many queues a page has.
pub(super) fn size(max_results: Option<i64>) -> Result<usize, Error> {
    let Some(number) = max_results else { return Ok(MAX_RESULTS) };
    let size = usize::try_from(number).ok().filter(|number| (1..=MAX_RESULTS).contains(number));
    size.ok_or_else(|| {
        Error::invalid(number, "MaxResults", "MaxResults must be an integer between 1 and 1000.")
    })
}

/// The page of these names, in their order, that a client asks for.
pub(super) fn of<'n>(
    names: impl IntoIterator<Item = &'n str>,
    size: usize,
    max_results: Option<i64>,
    token: Option<&str>,
) -> Page<'n> {
    let after = token.unwrap_or_default();
    let mut names = names.into_iter().filter(|name| after.is_empty() || *name > after);
    let listed: Vec<&str> = names.by_ref().take(size).collect();
    let more = max_results.is_some() && names.next().is_some();
    let next_token = listed.last().filter(|_| more).map(|name| (*name).to_owned());
    Page { names: listed, next_token }
}
