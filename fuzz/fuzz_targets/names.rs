//! libFuzzer over `fuzzing::names`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::names::target(data));
