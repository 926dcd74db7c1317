//! What SNS's answer means for the delivery.

use std::time::Duration;

use delivery::policy::MAX_RETRY_AFTER;
use delivery::sink::Verdict;
use event::Timestamp;

use crate::http::parse_retry_after;

/// How much of SNS's message is kept, in characters.
const MAX_WORDS: usize = 512;

/// Codes of refusals that would repeat: the message, the topic or a policy is wrong. After mending it, an operator can send the dead letters
/// again. Codes about credentials are not among them, because credentials expire and are renewed.
const FOR_GOOD: [&str; 17] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "EndpointDisabled",
    "InvalidAction",
    "InvalidMessageContents",
    "InvalidParameter",
    "InvalidParameterException",
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "MalformedQueryString",
    "NotFound",
    "NotFoundException",
    "ParameterValueInvalid",
    "ValidationError",
    "ValidationException",
];

/// An answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    /// SNS's code, if the answer has one.
    pub(super) code: Option<&'a str>,
    /// SNS's message, if there is one.
    pub(super) words: Option<&'a str>,
    /// As it came.
    pub(super) retry_after: Option<&'a str>,
}

/// `now` is the wall clock.
pub(super) fn verdict(refusal: &Refusal<'_>, now: Timestamp) -> Verdict {
    let reason = describe(refusal);
    if is_for_good(refusal) {
        return Verdict::Refused { reason };
    }
    let wait = refusal.retry_after.and_then(|text| parse_retry_after(text, now));
    Verdict::Failed { reason, wait: wait.map(|wait: Duration| wait.min(MAX_RETRY_AFTER)) }
}

/// With a 5xx, the code says nothing about the message.
fn is_for_good(Refusal { status, code, .. }: &Refusal<'_>) -> bool {
    *status == 413 || ((400..500).contains(status) && code.is_some_and(|code| FOR_GOOD.contains(&code)))
}

fn describe(Refusal { status, code, words, .. }: &Refusal<'_>) -> String {
    let code = code.map(|code| format!(" {code}")).unwrap_or_default();
    let words: String = words.unwrap_or_default().chars().take(MAX_WORDS).collect();
    let words = if words.is_empty() { words } else { format!(": {words}") };
    format!("SNS answered {status}{code}{words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, code: &str) -> Verdict {
        let code = (!code.is_empty()).then_some(code);
        let refusal = Refusal { status, code, words: Some("why"), retry_after: Some("90") };
        verdict(&refusal, Timestamp::from_millis(0))
    }

    #[test]
    fn a_message_that_can_never_be_taken_is_refused_in_sns_words() {
        let reason = "SNS answered 400 InvalidParameter: why".to_owned();
        assert_eq!(of(400, "InvalidParameter"), Verdict::Refused { reason });
        for (status, code) in
            [(403, "AuthorizationError"), (404, "NotFound"), (400, "ValidationError"), (413, "")]
        {
            assert!(matches!(of(status, code), Verdict::Refused { .. }), "{code}");
        }
    }

    #[test]
    fn throttling_credentials_and_outages_pass() {
        let cases = [
            (400, "Throttling"),
            (429, "Throttled"),
            (400, "RequestLimitExceeded"),
            (403, "ExpiredToken"),
            (403, "InvalidClientTokenId"),
            (403, "SignatureDoesNotMatch"),
            (403, "InvalidSecurity"),
            (403, "KMSAccessDenied"),
            (400, "SomethingNew"),
            (403, ""),
            (500, "InternalError"),
            (503, "InvalidParameter"),
            (302, ""),
        ];
        for (status, code) in cases {
            let Verdict::Failed { wait, .. } = of(status, code) else { panic!("{status} {code}") };
            assert_eq!(wait, Some(Duration::from_secs(90)));
        }
    }

    #[test]
    fn long_words_are_cut() {
        let long = "ä".repeat(2_000);
        let refusal = Refusal { status: 500, code: None, words: Some(&long), retry_after: None };
        let Verdict::Failed { reason, wait } = verdict(&refusal, Timestamp::from_millis(0)) else {
            panic!("it passes")
        };
        assert_eq!((reason.chars().count(), wait), ("SNS answered 500: ".len() + MAX_WORDS, None));
    }
}
