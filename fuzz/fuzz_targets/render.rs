//! libFuzzer over `fuzzing::render`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::render::target(data));
