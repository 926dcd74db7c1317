//! Parameters of the AWS Query protocol: pairs from a query string or a form.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Pairs in their order; of two with one name, the first counts. Names are case-sensitive.
#[derive(Debug, Default)]
pub struct Parameters<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Parameters<'a> {
    /// Those of the query string, and behind them those of the form.
    pub fn parse(query: &'a str, form: &'a [u8]) -> Self {
        let query = url::form_urlencoded::parse(query.as_bytes());
        Self { pairs: query.chain(url::form_urlencoded::parse(form)).collect() }
    }

    /// A parameter's value. An empty one counts as absent: some clients write it for what is not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
        found.filter(|value| !value.is_empty())
    }

    /// The pairs of a map: `X.entry.1.key`, `X.entry.1.value`, or of a list of pairs: `X.member.1.Key`, in the order of their numbers. A value
    /// that is not there is empty.
    pub fn pairs_of(&self, list: &str, key: &str, value: &str) -> Vec<(&str, &str)> {
        let mut found: BTreeMap<u32, (Option<&str>, &str)> = BTreeMap::new();
        for (name, text) in &self.pairs {
            let Some((number, field)) = name.strip_prefix(list).and_then(|rest| rest.split_once('.')) else {
                continue;
            };
            let Ok(number) = number.parse() else { continue };
            let entry = found.entry(number).or_default();
            if field == key {
                entry.0 = Some(text);
            } else if field == value {
                entry.1 = text;
            }
        }
        found.into_values().filter_map(|(key, value)| Some((key?, value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_query_before_form() {
        let parameters = Parameters::parse("Action=A&Token=&x=1%2B1", b"Action=B&TopicArn=arn%3Aaws&y=a+b");
        assert_eq!(parameters.get("Action"), Some("A"));
        assert_eq!(parameters.get("TopicArn"), Some("arn:aws"));
        assert_eq!(parameters.get("Token"), None);
        assert_eq!(parameters.get("action"), None);
        assert_eq!((parameters.get("x"), parameters.get("y")), (Some("1+1"), Some("a b")));
    }

    #[test]
    fn reads_maps_in_the_order_of_their_numbers() {
        let form = b"A.entry.10.key=c&A.entry.10.value=3&A.entry.2.value=2&A.entry.2.key=b&A.entry.0.key=a&A.entry.x.key=d&A.entry.3.value=4&A=";
        let parameters = Parameters::parse("", form);
        assert_eq!(parameters.pairs_of("A.entry.", "key", "value"), [("a", ""), ("b", "2"), ("c", "3")]);
        assert_eq!(parameters.pairs_of("B.entry.", "key", "value"), []);
    }
}
