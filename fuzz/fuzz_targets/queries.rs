//! libFuzzer over `fuzzing::queries`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::queries::target(data));
