//! Numbers of bytes, as people read them.

use std::fmt;

/// A number of bytes, shown in the largest unit of which it has at least one: `4 KiB`, `1.5 GiB`, `900 bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        let Some((unit, shift)) = UNITS.into_iter().find(|(_, shift)| bytes >> shift > 0) else {
            return if bytes == 1 { f.write_str("1 byte") } else { write!(f, "{bytes} bytes") };
        };
        let whole = bytes >> shift;
        // Tenths are cut and not rounded: what is just below a limit is not shown as the limit.
        let tenths = (u128::from(bytes - (whole << shift)) * 10) >> shift;
        if tenths == 0 { write!(f, "{whole} {unit}") } else { write!(f, "{whole}.{tenths} {unit}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_unit_is_taken_and_nothing_is_rounded_up() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1_023, "1023 bytes"),
            (1_024, "1 KiB"),
            (268_435_456, "256 MiB"),
            ((1 << 30) - 1, "1023.9 MiB"),
            (3 << 29, "1.5 GiB"),
            (1_000 << 40, "1000 TiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), shown, "{bytes}");
        }
    }
}
