//! libFuzzer over `fuzzing::interim`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::interim::target(data));
