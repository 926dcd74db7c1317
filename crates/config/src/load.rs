//! Reading the files that `-c` names, and the texts that are kept of them.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::check::{Options, check};
use crate::loaded::Config;
use crate::problem::{Problem, Report};
use crate::tree::MAX_FILE;

/// A file of a configuration, as it was read. Its text may have secrets in it, and is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Its name as it was given, for messages.
    pub name: String,
    /// Its whole text.
    pub text: String,
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({}, {} bytes)", self.name, self.text.len())
    }
}

/// Reads and checks the files. If one cannot be read, that is the problem to report, and the other files are not checked.
///
/// # Errors
/// Everything that is wrong.
pub fn load<P: AsRef<Path>>(paths: &[P], options: &Options<'_>) -> Result<Config, Report> {
    let texts = read_all(paths)?;
    let files: Vec<(&str, &str)> = texts.iter().map(|one| (one.name.as_str(), one.text.as_str())).collect();
    check(&files, options)
}

/// Reads the files.
///
/// # Errors
/// If any of them cannot be read: one problem for each.
pub fn read_all<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Text>, Report> {
    let mut texts = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let is_input = path == Path::new(STANDARD_INPUT);
        let name = if is_input { "standard input".to_owned() } else { path.display().to_string() };
        match read(path) {
            Ok(text) => texts.push(Text { name, text }),
            Err(error) => problems.push(Problem {
                file: name,
                place: None,
                path: String::new(),
                message: format!("cannot be read: {}", cause(&error)),
                hint: remedy(&error).into(),
            }),
        }
    }
    if problems.is_empty() { Ok(texts) } else { Err(Report { problems, warnings: Vec::new() }) }
}

fn cause(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".into(),
        ErrorKind::PermissionDenied => "this user may not read it".into(),
        ErrorKind::IsADirectory => "it is a directory".into(),
        ErrorKind::InvalidData => format!("it is not a text in UTF-8 ({error})"),
        _ => error.to_string(),
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "look at the path; it counts from the folder where the command was started",
        ErrorKind::PermissionDenied => {
            "let the user that reads it read the file and enter each folder above it (chmod, chown), or use one who may"
        }
        ErrorKind::IsADirectory => "name each file in it; `-c` may be given several times",
        ErrorKind::InvalidData => "save it as UTF-8, without compression",
        _ => "look at the path and at its disk",
    }
}

/// The path that means the standard input.
pub const STANDARD_INPUT: &str = "-";

/// The file's text; of one that is too large, only enough for [`check`] to notice.
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let most = MAX_FILE as u64 + 1;
    match path == Path::new(STANDARD_INPUT) {
        true => std::io::stdin().lock().take(most).read_to_end(&mut bytes)?,
        false => File::open(path)?.take(most).read_to_end(&mut bytes)?,
    };
    if bytes.len() > MAX_FILE {
        return Ok(" ".repeat(bytes.len()));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}
