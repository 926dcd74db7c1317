//! The clock under wall clocks that are set, machines that are off, and starts that follow each other.

use std::sync::Mutex;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);
const WALL: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A machine: its wall clock and how long it has been up.
struct Machine(Mutex<(Timestamp, Duration)>);

impl Machine {
    fn new(wall: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new((wall, 1_000 * DAY))))
    }

    /// Time passes.
    fn pass(&self, by: Duration) {
        let mut clocks = self.0.lock().unwrap();
        *clocks = (clocks.0.plus(by), clocks.1 + by);
    }

    /// Somebody sets the wall clock.
    fn set(&self, change: impl FnOnce(Timestamp) -> Timestamp) {
        let mut clocks = self.0.lock().unwrap();
        clocks.0 = change(clocks.0);
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    fn uptime(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}

fn kept(clock: &StoreClock) -> Option<Record> {
    Some(clock.record())
}

#[test]
fn a_new_store_begins_at_the_wall_clocks_time() {
    let (clock, gap) = StoreClock::resume(None, Machine::new(WALL));
    assert_eq!((clock.now().as_micros(), gap), (WALL.as_micros(), Gap::Whole));
}

#[test]
fn only_time_that_passes_moves_it_while_a_process_lives() {
    let machine = Machine::new(WALL);
    let (clock, _) = StoreClock::resume(None, machine.clone());
    let began = clock.now();
    for wall in [WALL.plus(15 * DAY), WALL.minus(35 * DAY), Timestamp::default()] {
        machine.set(|_| wall);
        assert_eq!(clock.now(), began);
    }
    machine.pass(3 * DAY);
    assert_eq!(clock.now().since(began), 3 * DAY);
}

#[test]
fn a_start_advances_it_by_the_time_that_the_machine_was_off_up_to_an_hour() {
    for (off, advanced) in [
        (Duration::ZERO, Duration::ZERO),
        (59 * MINUTE, 59 * MINUTE),
        (61 * MINUTE, MAX_GAP),
        (400 * DAY, MAX_GAP),
    ] {
        let (clock, _) = StoreClock::resume(None, Machine::new(WALL));
        let (next, gap) = StoreClock::resume(kept(&clock), Machine::new(WALL.plus(off)));
        assert_eq!(next.now().since(clock.now()), advanced, "{off:?}");
        let cut = Gap::Cut { passed: off, advanced };
        assert_eq!(gap, if off == advanced { Gap::Whole } else { cut });
        assert_eq!(next.jumps().count, 0);
    }
}

#[test]
fn a_wall_clock_behind_the_last_use_moves_nothing_back_and_is_noticed() {
    let (clock, _) = StoreClock::resume(None, Machine::new(WALL));
    let (next, gap) = StoreClock::resume(kept(&clock), Machine::new(WALL.minus(20 * DAY)));
    assert_eq!((next.now(), gap), (clock.now(), Gap::Behind(20 * DAY)));
    assert_eq!(next.jumps().last.map(|jump| jump.seconds), Some(-20.0 * 86_400.0));
}

#[test]
fn starts_that_follow_each_other_advance_it_by_a_day_in_all() {
    let (clock, _) = StoreClock::resume(None, Machine::new(WALL));
    let began = clock.now();
    let (mut record, mut wall) = (clock.record(), WALL);
    for _ in 0..100 {
        wall = wall.plus(30 * DAY);
        record = StoreClock::resume(Some(record), Machine::new(wall)).0.record();
    }
    assert_eq!(record.stamp.since(began), MAX_GAPS);
    // A process that lives for an hour ends the series.
    let machine = Machine::new(wall);
    let (lived, _) = StoreClock::resume(Some(record), machine.clone());
    machine.pass(SETTLED - Duration::from_secs(1));
    assert_eq!(lived.record().advanced, MAX_GAPS);
    machine.pass(Duration::from_secs(1));
    assert_eq!(lived.record().advanced, Duration::ZERO);
    let (next, _) = StoreClock::resume(kept(&lived), Machine::new(wall.plus(30 * DAY)));
    assert_eq!(next.now().since(lived.now()), MAX_GAP);
}

/// What starts add is remembered, so that no limit counts it.
#[test]
fn what_starts_add_has_not_been_lived_through() {
    let machine = Machine::new(WALL);
    let (clock, _) = StoreClock::resume(None, machine.clone());
    let began = clock.now();
    machine.pass(5 * MINUTE);
    assert_eq!((clock.lived_since(began), clock.assumed()), (5 * MINUTE, &Assumed::default()));
    let (mut record, mut wall) = (clock.record(), machine.now());
    for start in 1..=30u32 {
        wall = wall.plus(DAY);
        let machine = Machine::new(wall);
        let (next, _) = StoreClock::resume(Some(record), machine.clone());
        assert_eq!(next.now().since(began), (5 + start) * MINUTE - MINUTE + (start * MAX_GAP).min(MAX_GAPS));
        assert_eq!(next.lived_since(began), (4 + start) * MINUTE);
        machine.pass(MINUTE);
        assert_eq!(next.lived_since(began), (5 + start) * MINUTE);
        (record, wall) = (next.record(), machine.now());
    }
}

#[test]
fn a_record_that_is_behind_the_last_row_goes_on_to_it() {
    let machine = Machine::new(WALL);
    let (clock, _) = StoreClock::resume(None, machine.clone());
    let record = clock.record();
    assert_eq!(record.clone().not_behind(Stamp::default()), record);
    machine.pass(MINUTE);
    assert_eq!(record.clone().not_behind(clock.now()), clock.record());
    let (next, gap) = StoreClock::resume(Some(record.not_behind(clock.now())), machine.clone());
    assert_eq!((next.now(), gap), (clock.now(), Gap::Whole));
}

#[test]
fn a_step_of_five_seconds_is_a_jump() {
    for (millis, is_jump) in [(4_999, false), (5_000, true)] {
        let by = Duration::from_millis(millis);
        for change in [Timestamp::plus, Timestamp::minus] {
            let machine = Machine::new(WALL);
            let (clock, _) = StoreClock::resume(None, machine.clone());
            machine.set(|wall| change(wall, by));
            assert_eq!(clock.look().is_some(), is_jump, "{by:?}");
        }
        let record = StoreClock::resume(None, Machine::new(WALL)).0.record();
        let (next, gap) = StoreClock::resume(Some(record), Machine::new(WALL.minus(by)));
        assert_eq!((gap, next.jumps().count), (Gap::Behind(by), u64::from(is_jump)));
        let moved = if is_jump { -5.0 } else { 0.0 };
        assert_eq!((next.jumps().moved, next.look()), (moved, None), "it is counted once");
    }
}

/// A machine that stops the process before some of the first readings.
#[test]
fn both_clocks_are_read_at_one_moment() {
    /// How often it still stops, for how long, and the time.
    struct Stops(Mutex<(u32, Duration, Duration)>);
    impl Stops {
        fn pass(&self) -> Duration {
            let mut readings = self.0.lock().unwrap();
            let by = if readings.0 > 0 { readings.1 } else { Duration::from_millis(1) };
            readings.0 = readings.0.saturating_sub(1);
            readings.2 += by;
            readings.2
        }
    }
    impl Clock for Stops {
        fn now(&self) -> Timestamp {
            WALL.plus(self.pass())
        }

        fn uptime(&self) -> Duration {
            self.pass()
        }
    }
    for (stops, millis, expected) in [
        (0, 0, (2, 3)),
        (4, 10_000, (40_002, 40_003)),
        (3, 49, (98, 147)),
        (3, 50, (151, 152)),
        (9, 10_000, (80_000, 70_000)),
    ] {
        let (wall, uptime) = read(&Stops(Mutex::new((stops, Duration::from_millis(millis), Duration::ZERO))));
        let found = (wall.since(WALL).as_millis(), uptime.as_millis());
        assert_eq!(found, expected, "{stops} times {millis} ms");
    }
}

#[test]
fn a_wall_clock_that_is_set_is_noticed_once_and_slewing_is_not() {
    let machine = Machine::new(WALL);
    let (clock, _) = StoreClock::resume(None, machine.clone());
    machine.pass(MINUTE);
    assert_eq!(clock.look(), None);
    machine.set(|wall| wall.plus(15 * DAY));
    machine.pass(Duration::from_secs(1));
    let jump = clock.look().unwrap();
    assert_eq!((jump.seconds, jump.to), (15.0 * 86_400.0, machine.now()));
    assert_eq!(clock.look(), None);
    machine.set(|wall| wall.minus(15 * DAY));
    assert_eq!(clock.look().map(|jump| jump.seconds), Some(-15.0 * 86_400.0));
    assert_eq!((clock.jumps().count, clock.jumps().moved), (2, 0.0));
    for _ in 0..100 {
        machine.pass(Duration::from_secs(1));
        machine.set(|wall| wall.plus(Duration::from_millis(900)));
        assert_eq!(clock.look(), None, "a clock that is slewed is not set");
    }
}

#[test]
fn a_moment_is_shown_by_the_wall_clock_of_now() {
    let machine = Machine::new(WALL);
    let (clock, _) = StoreClock::resume(None, machine.clone());
    let due = clock.now().plus(2 * MINUTE);
    assert_eq!(clock.shown(due), WALL.plus(2 * MINUTE));
    assert_eq!(clock.at(WALL.plus(2 * MINUTE)), due);
    machine.set(|wall| wall.plus(DAY));
    machine.pass(3 * MINUTE);
    assert_eq!(clock.shown(due), WALL.plus(DAY + 2 * MINUTE));
}

#[test]
fn says_how_far_a_clock_is_off() {
    for (seconds, words) in [
        (-15.0 * 86_400.0, "15 days"),
        (2.0 * 86_400.0, "2 days"),
        (2.0 * 86_400.0 - 1.0, "48 hours"),
        (7_300.0, "2 hours"),
        (7_200.0, "2 hours"),
        (7_199.0, "120 minutes"),
        (120.0, "2 minutes"),
        (119.0, "119 seconds"),
        (-7.0, "7 seconds"),
    ] {
        assert_eq!(in_words(seconds), words);
    }
}
