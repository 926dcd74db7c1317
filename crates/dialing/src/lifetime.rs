//! How old a connection may grow.
//!
//! A name that moves is followed within a minute under steady traffic: an answer is at most 20 s old when a connection is made
//! ([`Times`](crate::Times)), and the connection is used for at most [`MAX_AGE`].

use std::time::{Duration, Instant};

/// The shortest life of a connection; each has a random one between this and [`MAX_AGE`], so that they do not end together.
pub const MIN_AGE: Duration = Duration::from_secs(30);
/// The longest life of a connection.
pub const MAX_AGE: Duration = Duration::from_secs(40);
/// Before its end, for the name to be looked up anew: so the connection that takes its place does not wait for that.
const REFRESH_BEFORE: Duration = Duration::from_secs(5);

/// When a connection is not to be used again.
#[derive(Debug)]
pub struct Lifetime {
    over_at: Instant,
    is_refreshed: bool,
}

impl Lifetime {
    /// Of a connection that was made now.
    pub fn begin(now: Instant) -> Self {
        let spread = u64::try_from((MAX_AGE - MIN_AGE).as_millis()).unwrap_or(0);
        let age = MIN_AGE + Duration::from_millis(fastrand::u64(0..=spread));
        Self { over_at: now + age, is_refreshed: false }
    }

    /// Whether it is not to be used for another request.
    pub fn is_over(&self, now: Instant) -> bool {
        now >= self.over_at
    }

    /// Whether the name should be looked up anew because the end is near. Says so once.
    pub fn wants_refresh(&mut self, now: Instant) -> bool {
        let is_near = now + REFRESH_BEFORE >= self.over_at;
        is_near && !std::mem::replace(&mut self.is_refreshed, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_ends_between_its_bounds_and_the_name_is_asked_for_once_before() {
        let now = Instant::now();
        for _ in 0..100 {
            let mut life = Lifetime::begin(now);
            let before = now + MIN_AGE - REFRESH_BEFORE - Duration::from_millis(1);
            assert!(!life.wants_refresh(before) && !life.is_over(now + MIN_AGE - Duration::from_millis(1)));
            assert!(life.is_over(now + MAX_AGE));
            assert!(life.wants_refresh(now + MAX_AGE - REFRESH_BEFORE));
            assert!(!life.wants_refresh(now + MAX_AGE));
        }
    }
}
