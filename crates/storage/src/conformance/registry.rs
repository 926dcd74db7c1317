//! Rows of the registry.

use ::entities::Origin;
use uuid::Uuid;

use super::{Case, Store, cases, stamp};
use crate::StoreError;
use crate::clock::Trace;
use crate::registry::{MAX_BODY_BYTES, Row};

pub(super) const CASES: &[Case] = cases![
    rows_are_read_by_kind_and_id,
    a_row_is_replaced_as_a_whole,
    a_row_that_is_the_same_writes_nothing,
    a_deleted_row_is_gone_and_no_other,
    rows_go_back_with_their_transaction,
    a_text_up_to_the_limit_is_taken_and_no_larger_one,
    small_values_are_kept,
];

fn a_row(kind: &str, id: u128, origin: Origin, body: &str) -> Row {
    Row { kind: kind.into(), id: Uuid::from_u128(id), origin, body: body.into() }
}

fn put(store: &mut Store, rows: &[Row]) {
    store.write(|tx| rows.iter().try_for_each(|row| tx.put_row(row)));
}

/// As a transaction and a reader see them.
#[track_caller]
fn check(store: &mut Store, rows: &[Row]) {
    assert_eq!(store.reader().rows().unwrap(), rows);
    assert_eq!(store.write(|tx| tx.rows()), rows);
}

fn rows_are_read_by_kind_and_id(store: &mut Store) {
    check(store, &[]);
    let rows = [
        a_row("route", 1, Origin::Api, "{}"),
        a_row("route", 1 << 64, Origin::File, r#"{"paths":["/ü"]}"#),
        a_row("service", 1, Origin::File, "not JSON, which is nobody's affair here"),
        a_row("service", u128::MAX, Origin::Api, ""),
    ];
    let mut shuffled = rows.clone();
    shuffled.reverse();
    shuffled.swap(0, 2);
    put(store, &shuffled);
    check(store, &rows);
    store.reopen();
    check(store, &rows);
    store.restart();
    check(store, &rows);
}

fn a_row_is_replaced_as_a_whole(store: &mut Store) {
    let other = a_row("topic", 2, Origin::File, "other");
    put(store, &[a_row("topic", 1, Origin::Api, "old"), other.clone()]);
    for (origin, body) in [(Origin::Api, "new"), (Origin::File, "new"), (Origin::Api, "newest")] {
        let row = a_row("topic", 1, origin, body);
        put(store, std::slice::from_ref(&row));
        check(store, &[row, other.clone()]);
    }
}

fn a_row_that_is_the_same_writes_nothing(store: &mut Store) {
    let row = a_row("topic", 1, Origin::Api, "as it is");
    put(store, std::slice::from_ref(&row));
    let traces = store.write(|tx| {
        tx.put_row(&row)?;
        let same = tx.trace();
        tx.delete_row("topic", Uuid::nil())?;
        let missing = tx.trace();
        tx.put_row(&Row { origin: Origin::File, ..row.clone() })?;
        Ok([same, missing, tx.trace()])
    });
    assert_eq!(traces, [Trace::Nothing, Trace::Nothing, Trace::Unstamped]);
}

fn a_deleted_row_is_gone_and_no_other(store: &mut Store) {
    let rows = [
        a_row("queue", 1, Origin::Api, "1"),
        a_row("queue", 2, Origin::Api, "2"),
        a_row("topic", 1, Origin::Api, "3"),
    ];
    put(store, &rows);
    let delete = |store: &mut Store| store.write(|tx| tx.delete_row("queue", Uuid::from_u128(1)));
    assert!(delete(store));
    check(store, &rows[1..]);
    assert!(!delete(store), "it was gone");
    store.reopen();
    check(store, &rows[1..]);
}

fn rows_go_back_with_their_transaction(store: &mut Store) {
    let rows = [a_row("queue", 1, Origin::Api, "1"), a_row("queue", 2, Origin::File, "2")];
    put(store, &rows);
    let backend = &mut store.opened().backend;
    backend.begin(stamp(0)).unwrap();
    let tx = backend.tx();
    tx.put_row(&a_row("queue", 1, Origin::File, "changed")).unwrap();
    tx.put_row(&a_row("queue", 3, Origin::File, "new")).unwrap();
    tx.delete_row("queue", Uuid::from_u128(2)).unwrap();
    assert_eq!(tx.rows().unwrap().iter().map(|row| &*row.body).collect::<Vec<_>>(), ["changed", "new"]);
    backend.rollback();
    check(store, &rows);
}

fn a_text_up_to_the_limit_is_taken_and_no_larger_one(store: &mut Store) {
    let largest = a_row("plugin", 7, Origin::Api, &"x".repeat(MAX_BODY_BYTES));
    put(store, std::slice::from_ref(&largest));
    let backend = &mut store.opened().backend;
    backend.begin(stamp(0)).unwrap();
    let refused = backend.tx().put_row(&Row { body: format!("{}x", largest.body), ..largest.clone() });
    backend.rollback();
    let Err(refused @ StoreError::TooLarge { .. }) = refused else { panic!("{:?}", refused.err()) };
    assert_eq!(
        refused.to_string(),
        "the plugin 00000000-0000-0000-0000-000000000007 has 1048577 bytes; the store takes no more than 1048576: make it smaller, or \
         split it"
    );
    check(store, &[largest]);
}

fn small_values_are_kept(store: &mut Store) {
    assert_eq!(store.write(|tx| tx.get_value("signing-key")), None);
    store.write(|tx| tx.put_value("signing-key", b"one"));
    store.write(|tx| tx.put_value("signing-key", b"\0two"));
    store.reopen();
    assert_eq!(store.write(|tx| tx.get_value("signing-key")).as_deref(), Some(&b"\0two"[..]));
    assert_eq!(store.write(|tx| tx.get_value("other")), None);
    assert!(store.write(|tx| tx.delete_value("signing-key")));
    assert!(!store.write(|tx| tx.delete_value("signing-key")), "it was gone");
    store.reopen();
    assert_eq!(store.write(|tx| tx.get_value("signing-key")), None);
}
