//! What is redacted in JSON bodies, by JSON Pointer (RFC 6901).
//!
//! `/user/password` names a member; `/users/0/token` an element; a segment `*` names every element or member. (A member whose name
//! is `*` is therefore reached by the wildcard alone, together with its siblings.) What a pointer names is replaced by the string
//! `REDACTED`, whatever it was, in every one of several members of the same name. All else stays as it was written, numbers to the
//! last digit.

/// Deeper pointers are refused.
pub(super) const MAX_DEPTH: usize = 32;

/// Why a text is no pointer for a redaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// Neither empty nor with a slash in front.
    #[error("a JSON Pointer begins with `/`")]
    NoSlash,
    /// A `~` without `0` or `1` behind it.
    #[error("`~` in a JSON Pointer must be written `~0`, and `/` within a name `~1`")]
    BadEscape,
    /// Too many segments.
    #[error("the JSON Pointer has more than {MAX_DEPTH} segments")]
    TooDeep,
}

/// What is to be redacted in JSON bodies; compiled from pointers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonRedaction {
    pointers: Vec<Vec<Segment>>,
}

/// A step of a pointer, from a value to one in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Any,
    /// A member's name; an element's index, if it is written like one.
    Name(String, Option<u64>),
}

impl Segment {
    /// Whether it leads to the member of this name.
    pub(super) fn names(&self, member: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Name(name, _) => name == member,
        }
    }

    /// Whether it leads to the element of this index.
    pub(super) fn is_index(&self, element: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Name(_, index) => *index == Some(element),
        }
    }
}

impl JsonRedaction {
    /// Adds what a pointer names.
    ///
    /// # Errors
    /// If it is no JSON Pointer, or has more than 32 segments.
    pub fn add(&mut self, pointer: &str) -> Result<(), PointerError> {
        let mut segments = pointer.split('/');
        if segments.next() != Some("") {
            return Err(PointerError::NoSlash);
        }
        let segments = segments.map(segment).collect::<Result<Vec<_>, _>>()?;
        if segments.len() > MAX_DEPTH {
            return Err(PointerError::TooDeep);
        }
        self.pointers.push(segments);
        Ok(())
    }

    /// Whether there is nothing to redact.
    pub fn is_empty(&self) -> bool {
        self.pointers.is_empty()
    }

    /// The pointers, by their segments.
    pub(super) fn pointers(&self) -> &[Vec<Segment>] {
        &self.pointers
    }
}

fn segment(text: &str) -> Result<Segment, PointerError> {
    if text == "*" {
        return Ok(Segment::Any);
    }
    let mut name = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        name.push(match c {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PointerError::BadEscape),
            },
            other => other,
        });
    }
    let index = name.parse().ok().filter(|index: &u64| index.to_string() == name);
    Ok(Segment::Name(name, index))
}
