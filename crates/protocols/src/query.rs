//! Parameters of the AWS Query protocol: pairs from a query string or a form.

use std::borrow::Cow;

/// Pairs, sorted by name. Of two with the same name, the first one counts. Names are case-sensitive.
#[derive(Debug, Default)]
pub struct Parameters<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Parameters<'a> {
    /// The parameters of the query string, followed by those of the form.
    pub fn parse(query: &'a str, form: &'a [u8]) -> Self {
        let query = url::form_urlencoded::parse(query.as_bytes());
        let mut pairs: Vec<_> = query.chain(url::form_urlencoded::parse(form)).collect();
        // Equal ones stay in their order.
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self { pairs }
    }

    /// A parameter's value. An empty one counts as absent, because some clients send it for a parameter that is not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// A parameter's value as it was given, even if it is empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        let (found, value) = self.pairs.get(self.first(name))?;
        (found == name).then_some(&**value)
    }

    /// The numbers N of the parameters `list.N` and `list.N.…`, in their order: clients send lists in any order, and begin at 0 or at 1. `01`
    /// and `+1` are not numbers here, because otherwise a list could have two elements with the same number.
    pub fn numbers(&self, list: &str) -> Vec<String> {
        let prefix = format!("{list}.");
        let number = |head: &str| head.parse::<u64>().ok().filter(|number| number.to_string() == head);
        let mut numbers: Vec<u64> = self.heads(&prefix).into_iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().map(|number| number.to_string()).collect()
    }

    /// The pairs of a map: `X.entry.1.key`, `X.entry.1.value`, or of a list of pairs: `X.member.1.Key`, in the order of their numbers. A missing
    /// value is empty.
    pub fn pairs_of(&self, list: &str, key: &str, value: &str) -> Vec<(&str, &str)> {
        let pair = |number: String| {
            let given = |field: &str| self.given(&format!("{list}.{number}.{field}"));
            Some((given(key)?, given(value).unwrap_or_default()))
        };
        self.numbers(list).into_iter().filter_map(pair).collect()
    }

    /// The parts of names after a prefix, up to the next dot; sorted, with repeats.
    pub fn heads(&self, prefix: &str) -> Vec<&str> {
        let under = self.pairs[self.first(prefix)..].iter().map_while(|(name, _)| name.strip_prefix(prefix));
        let mut heads: Vec<&str> = under.filter_map(|rest| rest.split('.').next()).collect();
        heads.dedup();
        heads
    }

    /// The index of the first pair whose name is not less than this one.
    fn first(&self, name: &str) -> usize {
        self.pairs.partition_point(|(key, _)| **key < *name)
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
        assert_eq!((parameters.get("Token"), parameters.given("Token")), (None, Some("")));
        assert_eq!((parameters.get("action"), parameters.given("B")), (None, None));
        assert_eq!((parameters.get("x"), parameters.get("y")), (Some("1+1"), Some("a b")));
    }

    #[test]
    fn reads_maps_in_the_order_of_their_numbers() {
        let form = b"A.entry.10.key=c&A.entry.10.value=3&A.entry.2.value=2&A.entry.2.key=b&A.entry.0.key=a&A.entry.x.key=d&A.entry.3.value=4&A=";
        let parameters = Parameters::parse("", form);
        assert_eq!(parameters.pairs_of("A.entry", "key", "value"), [("a", ""), ("b", "2"), ("c", "3")]);
        assert_eq!(parameters.pairs_of("B.entry", "key", "value"), []);
    }

    #[test]
    fn lists_are_in_the_order_of_their_numbers() {
        let form = b"L.10.Name=j&L.2.Name=b&L.2.Value=v&L.0=z&L.x=no&L.02=no&L.%2B3=no&L.=no&L=no&L-a=no&Lx.7=no&L.10.Value=w&M.1=m&";
        let parameters = Parameters::parse("", form);
        assert_eq!(parameters.numbers("L"), ["0", "2", "10"]);
        assert_eq!(parameters.numbers("L.2"), [""; 0]);
        assert_eq!(parameters.numbers("N"), [""; 0]);
        assert_eq!(parameters.heads("L.2."), ["Name", "Value"]);
        assert_eq!(parameters.heads("N"), [""; 0]);
        assert_eq!(parameters.given("L.10.Name"), Some("j"));
    }
}
