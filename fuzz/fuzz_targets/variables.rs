//! libFuzzer over `fuzzing::variables`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::variables::target(data));
