//! libFuzzer over `fuzzing::guard`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::guard::target(data));
