//! libFuzzer over `fuzzing::keep_alive`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::keep_alive::target(data));
