//! Problems with fields of entities.

use std::fmt;

/// Something that is wrong with one field of an entity, or with the entity as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where in the entity; empty for the entity itself.
    pub path: Path,
    /// Its kind, for the codes of APIs.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The value is not allowed in the field.
    Invalid,
    /// A required field is missing.
    Required,
    /// The value asks for something that is not served.
    Unsupported,
    /// Another entity has it.
    Taken,
    /// What it refers to does not exist.
    Missing,
}

/// A path within an entity: `paths[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into the field of this name.
    Key(&'static str),
    /// To the element of this index, from 0.
    Index(usize),
}

impl Path {
    /// A field of the entity.
    pub fn key(name: &'static str) -> Self {
        Self(vec![Step::Key(name)])
    }

    /// An element of a list.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    /// Its steps, from the entity on.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if at == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// What is wrong with a value, whichever field has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Its kind.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Flaw {
    /// A value that is not allowed in the field.
    pub fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: Code::Invalid, message: message.into(), hint: hint.into() }
    }

    /// A value that asks for something that is not served.
    pub fn unsupported(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: Code::Unsupported, message: message.into(), hint: hint.into() }
    }

    /// The same, as the error of a field.
    pub fn at(self, path: Path) -> FieldError {
        let Self { code, message, hint } = self;
        FieldError { path, code, message, hint }
    }
}

/// Adds the problem with a field, if there is one.
pub(crate) fn note(errors: &mut Vec<FieldError>, path: Path, checked: Result<(), Flaw>) {
    errors.extend(checked.err().map(|flaw| flaw.at(path)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_way_into_a_document() {
        assert_eq!(Path::default().to_string(), "");
        assert_eq!(Path::key("paths").index(3).to_string(), "paths[3]");
        let nested = Path(vec![Step::Key("a"), Step::Key("b"), Step::Index(0)]);
        assert_eq!(nested.to_string(), "a.b[0]");
    }
}
