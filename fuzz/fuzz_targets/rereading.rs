//! libFuzzer over `fuzzing::rereading`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::rereading::target(data));
