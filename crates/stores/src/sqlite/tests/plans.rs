//! How SQLite goes about the reads of lists: along an index, never through a table or with a sort, whatever is in the store.

use super::super::deliveries::blocked_keys_sql;
use super::super::journal::{NOTED_AT, OPEN_AFTER};
use super::super::look_back::{BY_EVENTS, NEXT_WITH_ROWS, ROWS_AT};
use super::*;

#[test]
fn lists_are_read_along_an_index() {
    let store = InTemp::new();
    drop(store.open());
    let database = shell(&store.files().database);
    let events = BY_EVENTS.map(|rest| format!("SELECT e.position, e.key {rest}"));
    let others = [NEXT_WITH_ROWS, ROWS_AT, OPEN_AFTER, NOTED_AT].map(str::to_owned);
    for sql in events.into_iter().chain(others.into_iter().chain(blocked_keys_sql())) {
        let mut plan = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nulls = vec![rusqlite::types::Value::Integer(1); plan.parameter_count()];
        let steps = plan.query_map(rusqlite::params_from_iter(nulls), |row| row.get("detail")).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        let few = ["SCAN incarnations", "SCAN CONSTANT ROW", "SCAN (subquery"];
        for step in &steps {
            let is_of_few = few.iter().any(|few| step.starts_with(few));
            assert!(
                is_of_few || !step.contains("SCAN") && !step.contains("TEMP B-TREE"),
                "{sql}: {steps:#?}"
            );
        }
    }
}
