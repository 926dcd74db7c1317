//! The plug-ins that Retrohook ships, one folder each.
//!
//! To add one:
//! 1. Make a folder `src/<name>/` (hyphens as underscores) with `mod.rs`: its docs are its manual page, its `Kind` implements [`PluginKind`].
//! 2. Put a documented `Config` (serde and schemars, unknown keys refused) and the smallest useful `example.yaml` beside it.
//! 3. Add `mod <name>;` and one line to [`all`] below, the only list there is.
//! 4. Run `UPDATE_GENERATED=1 cargo test -p plugins` to write its `schema.json`; the generic tests in `tests.rs` cover it from now on.
//! 5. Test what it does in `src/<name>/tests.rs`.

use pipeline::PluginKind;

mod consumers;
mod key_auth;
#[cfg(feature = "failpoints")]
pub mod probes;
mod publish_sns;
mod rate_limiting;
mod settings;

pub use consumers::Consumers;
pub use rate_limiting::Counters;

/// Every kind of plug-in.
pub fn all() -> Vec<&'static dyn PluginKind> {
    vec![&key_auth::Kind, &rate_limiting::Kind, &publish_sns::Kind]
}

#[cfg(test)]
mod tests;
