//! Numbers from numbers: medians and percentiles.

use std::time::Duration;

/// The middle one; of an even number, the mean of the two in the middle. 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

/// The smallest and the largest; 0 and 0 of none.
pub fn spread(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().reduce(f64::min).unwrap_or_default();
    let high = values.iter().copied().reduce(f64::max).unwrap_or_default();
    (low, high)
}

/// An interval that holds the median of what these are a sample of, in 95 of 100 samples, whatever its distribution: between the two
/// order statistics that a binomial distribution gives. Of fewer than six values no interval is that sure: the smallest and the largest.
pub fn interval(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (length, mut outside, mut exactly) = (sorted.len(), 0.0, 0.5_f64.powi(sorted.len() as i32));
    let mut skipped = 0;
    // So many may be left out at each end that the median lies outside in no more than 5 of 100 samples.
    loop {
        outside += 2.0 * exactly;
        if outside > 0.05 || skipped >= length {
            break;
        }
        skipped += 1;
        exactly *= (length + 1 - skipped) as f64 / skipped as f64;
    }
    let left_out = skipped.saturating_sub(1);
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    (at(left_out), at(length.saturating_sub(1 + left_out)))
}

/// Latencies in microseconds, in order.
pub struct Latencies(Vec<f64>);

impl Latencies {
    /// Puts them in order.
    pub fn of(latencies: impl Iterator<Item = Duration>) -> Self {
        let mut micros: Vec<f64> = latencies.map(|latency| latency.as_secs_f64() * 1e6).collect();
        micros.sort_by(f64::total_cmp);
        Self(micros)
    }

    /// The latency that this share of all does not exceed (nearest rank).
    pub fn percentile(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 3.0));
    }

    #[test]
    fn an_interval_leaves_out_what_a_table_of_the_sign_test_says() {
        let values = |count: usize| (1..=count).map(|value| value as f64).collect::<Vec<_>>();
        assert_eq!(interval(&values(5)), (1.0, 5.0));
        assert_eq!(interval(&values(6)), (1.0, 6.0));
        assert_eq!(interval(&values(8)), (1.0, 8.0));
        assert_eq!(interval(&values(9)), (2.0, 8.0));
        assert_eq!(interval(&values(10)), (2.0, 9.0));
        assert_eq!(interval(&values(20)), (6.0, 15.0));
        assert_eq!(interval(&[]), (0.0, 0.0));
    }

    #[test]
    fn percentiles_are_measured_values() {
        let latencies = Latencies::of((1..=100).rev().map(Duration::from_micros));
        assert_eq!(latencies.percentile(50.0).round(), 50.0);
        assert_eq!(latencies.percentile(99.0).round(), 99.0);
        assert_eq!(latencies.percentile(100.0).round(), 100.0);
        assert_eq!(Latencies::of(std::iter::empty()).percentile(99.0), 0.0);
    }
}
