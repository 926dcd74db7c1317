//! libFuzzer over `fuzzing::rewriting`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::rewriting::target(data));
