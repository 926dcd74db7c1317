//! The threads without which the process is useless. The end of such a thread is noticed at once, whether it panics or returns.
//!
//! Such a thread holds a [`Vital`] as long as it works. If the vital is dropped, by a panic or an unexpected return, it reports a [`Death`]. A
//! thread that was asked to end calls [`Vital::ends_in_order`] first.

use std::fmt;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Makes vitals. All clones report to the same receiver. Each vital reports at most one death, so the channel needs no limit.
#[derive(Clone, Debug)]
pub struct Vitals(UnboundedSender<Death>);

/// The receiver of deaths.
pub type Deaths = UnboundedReceiver<Death>;

/// The unexpected end of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The name of the thread: `core-0`.
    pub part: String,
    /// How the thread ended.
    pub manner: Manner,
}

/// How a thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It panicked, which is a bug.
    Panicked,
    /// It returned, although nobody had asked it to.
    Returned,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manner = match self.manner {
            Manner::Panicked => "panicked",
            Manner::Returned => "ended by itself",
        };
        write!(f, "the thread `{}` {manner}", self.part)
    }
}

/// Held by a thread that must not end. Dropping it reports a death.
#[derive(Debug)]
pub struct Vital {
    part: String,
    /// `None` once the thread may end.
    vitals: Option<Vitals>,
}

/// The maker of vitals, and the receiver of the deaths that they report.
pub fn vitals() -> (Vitals, Deaths) {
    let (sender, deaths) = unbounded_channel();
    (Vitals(sender), deaths)
}

impl Vitals {
    /// The vital of the thread with this name.
    pub fn of(&self, part: impl Into<String>) -> Vital {
        Vital { part: part.into(), vitals: Some(self.clone()) }
    }
}

impl Vital {
    /// The thread ends because it was asked to: nothing is reported.
    pub fn ends_in_order(mut self) {
        self.vitals = None;
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        let Some(Vitals(deaths)) = self.vitals.take() else { return };
        let manner = if std::thread::panicking() { Manner::Panicked } else { Manner::Returned };
        // While the process ends, nobody receives any more.
        let _ = deaths.send(Death { part: std::mem::take(&mut self.part), manner });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_and_a_return_are_deaths_and_an_end_in_order_is_none() {
        let (vitals, mut deaths) = vitals();
        let panics = vitals.of("core-0");
        let panicked = std::thread::spawn(move || {
            let _alive = panics;
            std::panic::resume_unwind(Box::new("a bug"));
        });
        assert!(panicked.join().is_err());
        let death = |part: &str, manner| Ok(Death { part: part.into(), manner });
        assert_eq!(deaths.try_recv(), death("core-0", Manner::Panicked));

        vitals.of("core-1").ends_in_order();
        assert!(deaths.try_recv().is_err());

        drop(vitals.of("store-writer"));
        assert_eq!(deaths.try_recv(), death("store-writer", Manner::Returned));
    }
}
