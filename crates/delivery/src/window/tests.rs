//! Tests of the window: completion in any order, one head a key.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn cursor(dispatched_to: i64, done_to: i64) -> Cursor {
    Cursor { dispatched_to: Position(dispatched_to), done_to: Position(done_to) }
}

#[test]
fn the_cursor_follows_the_first_that_is_open() {
    let mut window = Window::new(Position(10));
    for position in [11, 14, 15] {
        window.begin(Position(position));
    }
    assert_eq!(window.cursor(), cursor(15, 10));
    window.settle(Position(14));
    assert_eq!((window.cursor(), window.span()), (cursor(15, 10), 3));
    window.settle(Position(11));
    assert_eq!((window.cursor(), window.span()), (cursor(15, 14), 1));
    window.settle(Position(11));
    window.settle(Position(99));
    assert_eq!(window.cursor(), cursor(15, 14));
    window.settle(Position(15));
    assert_eq!((window.cursor(), window.span()), (cursor(15, 15), 0));
}

#[test]
fn a_key_has_one_head_and_others_are_not_held_up() {
    let mut keys = Keys::default();
    let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
    assert_eq!(keys.admit(&a), Admit::Go);
    assert_eq!(keys.admit(&a), Admit::Behind);
    assert_eq!(keys.admit(&b), Admit::Go);
    assert_eq!(keys.head_done("b"), Release::Free);
    assert_eq!(keys.head_done("a"), Release::AskFollowers);
    assert_eq!(keys.admit(&a), Admit::Behind, "busy until the store has said that nobody waits");
    keys.free("a");
    assert_eq!(keys.admit(&a), Admit::Go);
    assert!(keys.block("c".into()), "it was free");
    assert!(!keys.block("c".into()));
    assert_eq!(keys.head_done("c"), Release::AskFollowers);
    assert_eq!((keys.len(), keys.is_empty()), (2, false));
    let mut busy: Vec<&str> = keys.busy().map(|key| &**key).collect();
    busy.sort_unstable();
    assert_eq!(busy, ["a", "c"]);
    keys.free("a");
    keys.free("c");
    assert_eq!((keys.len(), keys.is_empty()), (0, true));
    assert_eq!(keys.head_done("a"), Release::Free, "nobody knows of it");
}

#[test]
fn a_window_that_is_resumed_leaves_the_cursor_as_it_is() {
    let window = Window::resume(cursor(15, 10));
    assert_eq!((window.cursor(), window.span()), (cursor(15, 10), 0));
    let mut window = Window::new(Position(3));
    assert_eq!((window.cursor(), window.span()), (cursor(3, 3), 0));
    window.begin(Position(4));
    window.settle(Position(4));
    assert_eq!(window.cursor(), cursor(4, 4));
}

proptest! {
    /// Whatever the order of completion: nothing open is ever passed, everything before the first open one is.
    #[test]
    fn done_to_never_passes_an_open_event(
        gaps in proptest::collection::vec(1i64..4, 1..60), order in proptest::collection::vec(any::<prop::sample::Index>(), 0..120),
    ) {
        let mut window = Window::new(Position(0));
        let mut open = BTreeSet::new();
        let mut all = Vec::new();
        let mut position = 0;
        for gap in gaps {
            position += gap;
            window.begin(Position(position));
            open.insert(position);
            all.push(position);
        }
        for index in order {
            let settled = *index.get(&all);
            window.settle(Position(settled));
            open.remove(&settled);
            let done_to = all.iter().copied().take_while(|position| !open.contains(position)).last().unwrap_or(0);
            prop_assert_eq!(window.cursor(), cursor(position, done_to));
            prop_assert!(window.span() >= open.len());
        }
    }
}
