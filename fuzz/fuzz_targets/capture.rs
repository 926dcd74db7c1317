//! libFuzzer over `fuzzing::capture`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::capture::target(data));
