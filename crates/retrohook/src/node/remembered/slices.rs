//! A large text in slices. Where a slice ends depends only on the few bytes before its end and on its length. So a change of some lines changes
//! the one or two slices that they are in, and the slices after them are as before, though they begin elsewhere in the text.

use aws_lc_rs::digest::{SHA256, digest};

/// The most bytes of a slice.
pub const MOST: usize = 64 * 1024;
/// The fewest bytes of a slice, except for the last one.
const LEAST: usize = 16 * 1024;
/// A slice ends where this many bits are zero: after 8 KiB more, on average.
const ZERO_BITS: u32 = 13;
/// How many bytes decide whether a slice ends after them.
const DECISIVE: usize = 64;

/// A number for each byte, in which bits are zero or one by chance.
const MIXED: [u64; 256] = mixed();

/// The slices of a text.
pub fn cut(text: &[u8]) -> Vec<&[u8]> {
    let (mut slices, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (slice, after) = rest.split_at(length_of_first(rest));
        slices.push(slice);
        rest = after;
    }
    slices
}

fn length_of_first(text: &[u8]) -> usize {
    let mut bits = 0_u64;
    for (index, byte) in text.iter().enumerate().take(MOST).skip(LEAST - DECISIVE) {
        // After 64 more bytes, nothing is left of one.
        bits = (bits << 1).wrapping_add(MIXED[usize::from(*byte)]);
        if index + 1 >= LEAST && bits.leading_zeros() >= ZERO_BITS {
            return index + 1;
        }
    }
    text.len().min(MOST)
}

/// What distinguishes a slice from every other one.
pub type Hash = [u8; 32];

/// The hashes of slices.
pub fn hashes(slices: &[&[u8]]) -> Vec<Hash> {
    let hash = |slice: &&[u8]| {
        let mut hash = Hash::default();
        hash.copy_from_slice(digest(&SHA256, slice).as_ref());
        hash
    };
    slices.iter().map(hash).collect()
}

/// The numbers of splitmix64.
const fn mixed() -> [u64; 256] {
    let mut mixed = [0; 256];
    let mut state = 0_u64;
    let mut index = 0;
    while index < mixed.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed[index] = bits ^ (bits >> 31);
        index += 1;
    }
    mixed
}
