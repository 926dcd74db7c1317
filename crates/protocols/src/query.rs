//! Parameters of the AWS Query protocol: pairs from a query string or a form.

use std::borrow::Cow;

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
}
