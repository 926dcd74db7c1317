//! libFuzzer over `fuzzing::legacy_admin`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::legacy_admin::target(data));
