//! libFuzzer over `fuzzing::facts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::facts::target(data));
