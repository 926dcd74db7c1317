//! libFuzzer over `fuzzing::spelling`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::spelling::target(data));
