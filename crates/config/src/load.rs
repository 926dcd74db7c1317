//! Reading the files that `-c` names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::check::{Options, check};
use crate::entities::Config;
use crate::problem::{Problem, Report};
use crate::tree::MAX_FILE;

/// Reads and checks the files. A file that cannot be read is a problem like any other; the rest is then not looked at.
///
/// # Errors
/// All that is wrong.
pub fn load<P: AsRef<Path>>(paths: &[P], options: &Options<'_>) -> Result<Config, Report> {
    let mut texts = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        let name = path.as_ref().display().to_string();
        match read(path.as_ref()) {
            Ok(text) => texts.push((name, text)),
            Err(error) => problems.push(Problem {
                file: name,
                place: None,
                path: String::new(),
                message: format!("cannot be read: {error}"),
                hint: "look at the path, at its permissions, and that it is a text in UTF-8".into(),
            }),
        }
    }
    if !problems.is_empty() {
        return Err(Report { problems });
    }
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    check(&files, options)
}

/// The file's text; of one that is too large, just enough for [`check`] to say so.
fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE {
        return Ok(" ".repeat(bytes.len()));
    }
    String::from_utf8(bytes).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}
