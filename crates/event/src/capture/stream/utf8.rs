//! Whether pieces of text are UTF-8 together: what is left out of a body must be, too, and is not there any more at its end.

/// The longest character, in bytes.
const LONGEST: usize = 4;

/// The begin of a character that the last piece ended in.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    begun: [u8; LONGEST],
    length: usize,
}

impl Utf8 {
    /// Whether the text is still UTF-8 with this piece behind it, as far as it can be said.
    pub(super) fn continues(&mut self, mut piece: &[u8]) -> bool {
        while self.length > 0 {
            let Some((first, rest)) = piece.split_first() else { return true };
            self.begun[self.length] = *first;
            self.length += 1;
            piece = rest;
            match std::str::from_utf8(&self.begun[..self.length]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match std::str::from_utf8(piece) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                let begun = &piece[error.valid_up_to()..];
                self.begun[..begun.len()].copy_from_slice(begun);
                self.length = begun.len();
                true
            }
        }
    }
}
