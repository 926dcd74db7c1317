//! Small configurations and large ones, over the in-memory store.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use storage::memory::{CommitFault, Memory};
use storage::retention::Retention;
use storage::{Feed, writer};

use super::*;
use crate::clock::WallClock;

struct World {
    memory: Memory,
    writer: Writer,
    written: RefCell<Written>,
}

impl World {
    fn new() -> Self {
        let memory = Memory::default();
        let config = writer::Config {
            backend: memory.open().backend,
            feed: Feed::default(),
            clock: Arc::new(WallClock),
            retention: Retention::default(),
            vitals: storage::vital::vitals().0,
        };
        Self { memory, writer: Writer::spawn(config).unwrap().0, written: RefCell::default() }
    }

    fn keep(&self, remembered: &Remembered) {
        let staged = remembered.stage(&self.writer, &mut self.written.borrow_mut()).unwrap();
        self.writer.transact(move |tx| staged.keep(tx)).wait().unwrap();
        drop_unfinished(&self.writer).unwrap();
    }

    fn kept(&self) -> Option<Remembered> {
        Remembered::read(&self.writer).unwrap()
    }

    fn commits(&self) -> u64 {
        self.writer.stats().commits.load(Ordering::Relaxed)
    }

    fn value(&self, name: &str) -> Option<Vec<u8>> {
        let name = name.to_owned();
        self.writer.transact(move |tx| tx.get_value(&name)).wait().unwrap()
    }

    /// How many slices each area has.
    fn slices(&self) -> [usize; 2] {
        let count = |tx: &mut dyn Tx| {
            let mut slices = [0; 2];
            for area in AREAS {
                for slice in 0..20 {
                    let is_there = tx.get_value(&of_slice(area, slice))?.is_some();
                    slices[usize::from(area)] += usize::from(is_there);
                }
            }
            Ok(slices)
        };
        self.writer.transact(count).wait().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.writer.stop();
    }
}

fn of(letter: char, bytes: usize) -> Remembered {
    let text = String::from(letter).repeat(bytes);
    Remembered::new(Source::Api, vec![Text { name: "kong.yml".into(), text }])
}

#[test]
fn small_and_large_ones_take_each_others_place() {
    let world = World::new();
    assert_eq!(world.kept(), None);
    let large = 10 * SLICE;
    for (letter, bytes, slices) in [
        ('a', 5, [0, 0]),
        ('b', large, [11, 0]),
        ('c', large, [0, 11]),
        ('d', 2 * SLICE, [3, 0]),
        ('e', 9, [0, 0]),
        ('f', SLICE, [2, 0]),
        ('g', SLICE / 2, [0, 0]),
    ] {
        let remembered = of(letter, bytes);
        world.keep(&remembered);
        assert_eq!((world.kept(), world.slices()), (Some(remembered), slices), "{letter}");
    }
}

#[test]
fn no_commit_has_more_than_a_slice_and_the_last_one_next_to_nothing() {
    let world = World::new();
    let staged = of('a', 10 * SLICE).stage(&world.writer, &mut Written::default()).unwrap();
    for slice in 0..11 {
        assert!(world.value(&of_slice(0, slice)).unwrap().len() <= SLICE);
    }
    assert_eq!((world.kept(), world.value(STAGED)), (None, None), "it is not the kept one yet");
    world.writer.transact(move |tx| staged.keep(tx)).wait().unwrap();
    assert!(world.value(STAGED).unwrap().len() < 200);
    assert_eq!(world.value(WHOLE), None);
}

#[test]
fn what_is_kept_already_costs_nothing() {
    let world = World::new();
    for remembered in [of('a', 5), of('b', 12 * SLICE)] {
        world.keep(&remembered);
        let (slices, before) = (world.slices(), world.commits());
        world.keep(&remembered);
        let commits = world.commits() - before;
        assert!(commits < 8, "{commits}: nothing is written slice by slice");
        assert_eq!(world.slices(), slices);
    }
}

#[test]
fn one_that_breaks_off_leaves_the_kept_one_and_goes_at_the_next_start() {
    let world = World::new();
    for kept in [of('a', 5), of('b', 3 * SLICE)] {
        world.keep(&kept);
        let others = |slices: [usize; 2]| slices.into_iter().find(|slices| ![0, 4, 10].contains(slices));
        // A commit of the writer's own may meet the fault first: then this one comes to its end, and is not kept all the same.
        while others(world.slices()).is_none() {
            (0..7).for_each(|_| world.memory.spare_next_commit());
            world.memory.fail_next_commit(CommitFault::Full);
            let _ = of('c', 9 * SLICE).stage(&world.writer, &mut Written::default());
            assert_eq!(world.kept().as_ref(), Some(&kept));
        }
        drop_unfinished(&world.writer).unwrap();
        assert_eq!(world.slices().iter().sum::<usize>(), if kept == of('a', 5) { 0 } else { 4 });
        assert_eq!(world.kept(), Some(kept));
    }
}

#[test]
fn one_of_which_a_part_is_missing_is_damaged() {
    let world = World::new();
    world.keep(&of('a', 3 * SLICE));
    world.writer.transact(|tx| tx.delete_value(&of_slice(0, 1))).wait().unwrap();
    let Err(damaged @ StoreError::Damaged(_)) = Remembered::read(&world.writer) else {
        panic!("it was read")
    };
    assert_eq!(
        damaged.to_string(),
        "the store is damaged: the configuration that the store remembers cannot be read: a part of it is missing or was changed"
    );
}

/// A text of numbered lines, with these changes.
fn lines(count: usize, changes: &[(usize, &str)]) -> Remembered {
    let mut lines: Vec<String> = (0..count).map(|number| format!("- {{ name: more-{number} }}")).collect();
    for (at, line) in changes {
        (*line).clone_into(&mut lines[*at]);
    }
    Remembered::new(Source::Files, vec![Text { name: "a.yml".into(), text: lines.join("\n") }])
}

#[test]
fn a_change_of_a_few_lines_of_a_large_one_is_one_commit_in_its_area() {
    let world = World::new();
    let much = 20_000;
    world.keep(&lines(much, &[]));
    let first = world.slices();
    for changed in [
        lines(much, &[(10_000, "another line")]),
        lines(much, &[(10_000, "two\nlines")]),
        lines(much, &[(10_000, "")]),
        lines(much, &[]),
        lines(much - 100, &[]),
        lines(much, &[]),
    ] {
        let before = world.commits();
        let staged = changed.stage(&world.writer, &mut world.written.borrow_mut()).unwrap();
        assert!(matches!(staged.0, Last::Patch(_)), "little has changed");
        assert!(world.commits() - before < 3, "nothing is written before the last commit");
        assert_ne!(world.kept(), Some(changed.clone()));
        world.writer.transact(move |tx| staged.keep(tx)).wait().unwrap();
        drop_unfinished(&world.writer).unwrap();
        assert_eq!(world.kept(), Some(changed));
        let now = world.slices();
        assert_eq!(now.map(|slices| slices > 0), first.map(|slices| slices > 0), "in the same area");
    }
    let slices = world.slices();
    world.keep(&lines(much - 10_000, &[]));
    assert!(world.slices().iter().sum::<usize>() < slices.iter().sum(), "no slice is left of the longer one");
    assert_eq!(world.kept(), Some(lines(much - 10_000, &[])));
}

#[test]
fn what_another_process_wrote_or_what_was_not_kept_is_written_as_a_whole() {
    let world = World::new();
    world.keep(&lines(20_000, &[]));
    let changed = lines(20_000, &[(7, "changed")]);
    let staged = changed.stage(&world.writer, &mut Written::default()).unwrap();
    assert!(matches!(staged.0, Last::Large(_)), "it is not known where the slices of the current one end");
    // A change that was staged, and whose last commit never came.
    let _ = changed.stage(&world.writer, &mut world.written.borrow_mut()).unwrap();
    let next = lines(20_000, &[(8, "changed")]);
    let staged = next.stage(&world.writer, &mut world.written.borrow_mut()).unwrap();
    assert!(matches!(staged.0, Last::Large(_)), "the store has not what was written last");
    world.writer.transact(move |tx| staged.keep(tx)).wait().unwrap();
    assert_eq!(world.kept(), Some(next));
}
