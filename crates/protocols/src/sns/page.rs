//! Lists in pages of 100, as in SNS. The token is the key of a page's last entry, and the next page goes on after it. So an entry that is made
//! or deleted meanwhile neither repeats nor hides another one.

use std::fmt::Display;
use std::str::FromStr;

use super::{Context, Error};
use crate::xml;

/// Entries on a page.
const PAGE: usize = 100;

/// One page of a list: the element `name` with a `member` for each entry, and the token of the next one if there is more. `entries` are in the
/// order of their keys, which differ.
pub(super) fn page<T, K: Ord + Display + FromStr>(
    context: &Context<'_>,
    name: &str,
    entries: &[T],
    key: impl Fn(&T) -> K,
    member: impl Fn(&T) -> String,
) -> Result<String, Error> {
    let after = context.get("NextToken").map(str::parse::<K>).transpose();
    let after = after.map_err(|_| Error::invalid("nextToken"))?;
    let from = after.map_or(0, |after| entries.partition_point(|entry| key(entry) <= after));
    let rest = entries.get(from..).unwrap_or_default();
    let (entries, more) = rest.split_at(rest.len().min(PAGE));
    let members: String = entries.iter().map(|entry| format!("<member>{}</member>", member(entry))).collect();
    let next = match entries.last() {
        Some(last) if !more.is_empty() => {
            format!("<NextToken>{}</NextToken>", xml::escape(&key(last).to_string()))
        }
        _ => String::new(),
    };
    Ok(format!("<{name}>{members}</{name}>{next}"))
}
