//! Reading a plug-in's `config` into its struct. An error says at which path a value does not fit.

use pipeline::ConfigProblem;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

/// The settings, or why they cannot be read.
pub(crate) fn read<T: DeserializeOwned>(config: &Value) -> Result<T, Vec<ConfigProblem>> {
    // The schema reports the same problems with better words. This is for callers that do not check the schema first.
    serde_path_to_error::deserialize(config.clone()).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                Segment::Map { key } => {
                    pointer.push('/');
                    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                }
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        let hint = "see the plug-in's options in its schema".to_owned();
        vec![ConfigProblem { pointer, message: error.inner().to_string(), hint }]
    })
}
