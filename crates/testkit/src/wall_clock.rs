//! A wall clock that a test can set while a process runs: libfaketime, told by a file how far the clock is off. The monotonic clock is not
//! touched.

use std::path::PathBuf;

use crate::process::Setup;
use crate::tools;

/// The wall clock of the processes that are started by a setup.
pub struct WallClock {
    file: PathBuf,
}

impl WallClock {
    /// Puts what the library needs into the setup's environment. The clock is right until it is set.
    ///
    /// # Panics
    /// If the library is not here.
    #[track_caller]
    pub fn of(setup: &mut Setup) -> Self {
        let clock = Self { file: setup.data.path().join("clock") };
        let library = tools::find("FAKETIME_LIB", "libfaketimeMT.so.1");
        for (name, value) in [
            ("LD_PRELOAD", library.to_str().expect("UTF-8")),
            ("FAKETIME_TIMESTAMP_FILE", clock.file.to_str().expect("UTF-8")),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ] {
            setup.env.push((name.into(), value.into()));
        }
        clock.set("+0");
        clock
    }

    /// Sets it so far off the right time, `+15d` or `-20`; in one step, because a process may read the file at any time.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn set(&self, offset: &str) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{offset}\n")).expect("the offset is written");
        std::fs::rename(new, &self.file).expect("the offset is put in place");
    }
}
