//! A configuration file that is read again after changes.
//!
//! Read as: texts of one file, one after the other, with a line `=== THEN` between them. What must hold: a reader that read the earlier texts
//! gets of each one exactly what a check of this text alone gets: the same entities, warnings and problems, with the same places.

use config::{Options, Reader, Text, Tolerance};
use event::Timestamp;

const BETWEEN: &str = "\n=== THEN\n";
const NAME: &str = "f.yaml";

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let Ok(texts) = std::str::from_utf8(data) else { return };
    let kinds = plugins::all();
    let env = |name: &str| (name == "WORD").then(|| "word-from-the-environment".to_owned());
    let options = Options {
        kinds: &kinds,
        region: "us-east-1",
        account: "000000000000",
        hubs: &[],
        env: &env,
        now: Timestamp::from_millis(1_700_000_000_000),
        tolerance: Tolerance::default(),
    };
    let mut reader = Reader::default();
    for text in texts.split(BETWEEN) {
        let files = [Text { name: NAME.to_owned(), text: text.to_owned() }];
        let again = reader.check_texts(&files, &options);
        match (config::check(&[(NAME, text)], &options), again) {
            (Ok(alone), Ok(again)) => {
                assert_eq!(alone.set, again.set);
                assert_eq!(alone.served, again.served);
                assert_eq!(alone.places, again.places);
                assert_eq!(alone.warnings, again.warnings);
            }
            (Err(alone), Err(again)) => assert_eq!(alone, again),
            (alone, again) => panic!("alone: {:?}, again: {:?}", alone.err(), again.err()),
        }
    }
}
