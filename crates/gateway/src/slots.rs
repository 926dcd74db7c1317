//! Memory for the futures of exchanges: each is a few kilobytes, lives for one exchange, and is then reused.
//!
//! An idle connection has none. An allocator could return other memory each time, which is no longer in the processor's cache; here the memory
//! that was freed last is reused first.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The most unused slots that are kept; more go back to the allocator.
const KEPT: usize = 256;

/// The free slots of one core.
pub(crate) struct Slots<F>(RefCell<Vec<Slot<F>>>);

type Slot<F> = Pin<Box<Option<F>>>;

impl<F> Slots<F> {
    pub fn new() -> Rc<Self> {
        Rc::new(Self(RefCell::default()))
    }

    /// Makes a future in a slot. The argument is a function that makes it, so that the future need not be copied.
    #[inline]
    pub fn place(self: &Rc<Self>, make: impl FnOnce() -> F) -> Placed<F> {
        let mut slot = self.0.borrow_mut().pop().unwrap_or_else(|| Box::pin(None));
        slot.set(Some(make()));
        Placed { slot: Some(slot), slots: self.clone() }
    }
}

/// A future in its slot; the slot is free again when this is dropped.
pub(crate) struct Placed<F> {
    slot: Option<Slot<F>>,
    slots: Rc<Slots<F>>,
}

impl<F: Future> Future for Placed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.slot.as_mut().and_then(|slot| slot.as_mut().as_pin_mut());
        future.map_or(Poll::Pending, |future| future.poll(cx))
    }
}

impl<F> Drop for Placed<F> {
    fn drop(&mut self) {
        let Some(mut slot) = self.slot.take() else { return };
        // Dropping the future may run any code, even code that takes a slot.
        slot.set(None);
        let mut free = self.slots.0.borrow_mut();
        if free.len() < KEPT {
            free.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_place_that_was_left_is_taken_again() {
        let slots = Slots::new();
        let address = |placed: &Placed<Ready<u8>>| std::ptr::from_ref(&**placed.slot.as_ref().unwrap());
        let (first, second) = (slots.place(|| ready(1)), slots.place(|| ready(2)));
        let left = address(&first);
        assert_eq!(first.now_or_never(), Some(1));
        assert_eq!(slots.0.borrow().len(), 1);
        let third = slots.place(|| ready(3));
        assert_eq!((address(&third), slots.0.borrow().len()), (left, 0));
        assert_eq!((second.now_or_never(), third.now_or_never()), (Some(2), Some(3)));
    }

    #[test]
    fn what_is_in_a_place_is_dropped_when_the_place_is_left() {
        let slots = Slots::new();
        let held = Rc::new(());
        let in_future = held.clone();
        let placed = slots.place(|| async move { drop(in_future) });
        drop(placed);
        assert_eq!(Rc::strong_count(&held), 1);
    }

    #[test]
    fn no_more_places_are_kept_than_a_busy_core_needs() {
        let slots = Slots::new();
        let placed: Vec<_> = (0..=KEPT).map(|_| slots.place(|| ready(()))).collect();
        drop(placed);
        assert_eq!(slots.0.borrow().len(), KEPT);
    }
}
