//! The suite.

use storage::backend::Opened;
use storage::conformance::{self, Open, Subject};
use tempfile::TempDir;

use super::*;

/// A store in a directory of its own.
struct InTemp(TempDir);

impl InTemp {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Opened<SqliteBackend> {
        open(Options { dir: self.0.path().join("data") }).unwrap()
    }
}

impl Subject for InTemp {
    fn open(&mut self) -> Open {
        let Opened { backend, reader, unclean, .. } = InTemp::open(self);
        Open { backend: Box::new(backend), reader, unclean }
    }
}

#[test]
fn passes_the_suite() {
    conformance::run(InTemp::new);
}
