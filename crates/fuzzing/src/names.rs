//! Names and ids: ARNs, topic names, event ids, endpoints' secrets.
//!
//! Read as: one text. What must hold: what is read is written back the same, and what was written is read again as the same.

use delivery::signing::Secret;
use event::arn::{MAX_QUEUE_NAME, MAX_TOPIC_NAME, check_name};
use event::{Arn, EventId, TopicName};

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(arn) = text.parse::<Arn>() {
        assert_eq!(arn.to_string(), text);
        assert_eq!(arn.expect_service("sns").is_ok(), text.split(':').nth(2) == Some("sns"));
        let parts = [&arn.partition, &arn.service, &arn.region, &arn.account, &arn.resource];
        assert!(parts.iter().all(|part| !part.is_empty()));
    }
    if let Ok(name) = text.parse::<TopicName>() {
        assert_eq!((name.as_str(), name.to_string().as_str()), (text, text));
        assert!(text.len() <= MAX_TOPIC_NAME && !text.contains([':', '/', '.', ' ']));
        let arn = Arn::topic("us-east-1", "000000000000", text);
        assert_eq!(arn.to_string().parse(), Ok(arn), "a name can stand in an ARN");
    }
    if check_name(text, MAX_QUEUE_NAME).is_ok() {
        assert!(text.parse::<TopicName>().is_ok(), "a queue's name would do for a topic");
    }
    if let Ok(id) = text.parse::<EventId>() {
        let (written, mut buffer) = (id.to_string(), [0; 32]);
        assert_eq!(written.parse::<EventId>().expect("what was written"), id);
        assert_eq!(id.write_simple(&mut buffer).parse::<EventId>().expect("what was written"), id);
        assert_eq!(EventId::from_bytes(*id.as_bytes()), id);
    }
    if let Ok(secret) = text.parse::<Secret>() {
        let key = text.strip_prefix("whsec_").unwrap_or(text);
        assert!(!format!("{secret:?}").contains(&key[..8]), "a secret is never shown");
        let signed = |secret: &Secret| {
            let mut signature = String::new();
            secret.sign_into("id", "1", b"body", &mut signature);
            signature
        };
        let again: Secret = format!("whsec_{key}").parse().expect("the prefix may stand there");
        assert_eq!(signed(&again), signed(&secret), "the prefix is no part of the key");
    }
}
