//! libFuzzer over `fuzzing::forwarding`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::forwarding::target(data));
