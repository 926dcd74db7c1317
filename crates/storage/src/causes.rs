//! Errors in log lines: an error with the whole chain of its causes.

use std::error::Error;

/// An error with its causes, in one line: `cannot read the file: permission denied`.
pub fn describe(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreError;

    #[test]
    fn every_cause_is_in_the_line() {
        let disk = std::io::Error::other("the disk is gone");
        assert_eq!(describe(&StoreError::io("commit", disk)), "the store failed to commit: the disk is gone");
        assert_eq!(describe(&StoreError::Closed), "the store is closed");
    }
}
