//! libFuzzer over `fuzzing::path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::path::target(data));
