//! Random changes of seeds, as a fuzzer makes them, without what it learns from coverage.

use fastrand::Rng;

/// The most changes of one input.
const MAX_CHANGES: usize = 6;
/// The longest input, in bytes.
const MAX_LENGTH: usize = 4_096;
/// What changes the meaning of texts.
const TELLING: [&[u8]; 24] = [
    b"\n",
    b"\n\n",
    b" ",
    b"/",
    b"//",
    b"/../",
    b"%2e",
    b"%",
    b"%25",
    b":",
    b"\"",
    b"'",
    b"{",
    b"}",
    b"[",
    b"]",
    b"*",
    b"~1",
    b"\\u0000",
    b"\\ud800",
    b"-1",
    b"99999999999999999999",
    b"\xff",
    "ä\u{feff}".as_bytes(),
];

/// A seed with some changes.
pub fn change(random: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.usize(1..=MAX_CHANGES) {
        once(random, seeds, &mut input);
    }
    input.truncate(MAX_LENGTH);
    input
}

fn once(random: &mut Rng, seeds: &[Vec<u8>], input: &mut Vec<u8>) {
    let at = random.usize(..=input.len());
    let end = (at + random.usize(..=16)).min(input.len());
    match random.u8(..7) {
        0 if at < input.len() => input[at] ^= 1 << random.u8(..8),
        1 if at < input.len() => input[at] = random.u8(..),
        2 => drop(input.drain(at..end)),
        3 => {
            let piece = input[at..end].to_vec();
            let to = random.usize(..=input.len());
            input.splice(to..to, piece);
        }
        4 => {
            // A piece of another seed.
            let other = &seeds[random.usize(..seeds.len())];
            let from = random.usize(..=other.len());
            let to = (from + random.usize(..=64)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
        5 => input.truncate(at),
        _ => {
            let token = TELLING[random.usize(..TELLING.len())];
            input.splice(at..at, token.iter().copied());
        }
    }
}
