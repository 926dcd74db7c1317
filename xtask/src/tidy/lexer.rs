//! Enough of Rust's grammar to look at code and not at comments and strings. Right for code that rustfmt has laid out.

/// The code of a file: comments and the insides of strings and characters are blanked, lines and offsets stay.
pub fn code_only(text: &str) -> String {
    let mut blanked = Blanked { text: text.as_bytes(), out: Vec::with_capacity(text.len()) };
    while let Some(byte) = blanked.peek(0) {
        match blanked.literal_or_comment(byte) {
            Some(length) => blanked.blank(length),
            None => blanked.keep(),
        }
    }
    String::from_utf8_lossy(&blanked.out).into_owned()
}

struct Blanked<'a> {
    text: &'a [u8],
    out: Vec<u8>,
}

impl Blanked<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.out.len() + ahead).copied()
    }

    fn rest(&self) -> &[u8] {
        &self.text[self.out.len()..]
    }

    fn keep(&mut self) {
        // Names outside ASCII do not occur; a blank keeps the offsets.
        let byte = self.peek(0).filter(u8::is_ascii).unwrap_or(b' ');
        self.out.push(byte);
    }

    fn blank(&mut self, length: usize) {
        let end = (self.out.len() + length).min(self.text.len());
        while self.out.len() < end {
            let byte = if self.text[self.out.len()] == b'\n' { b'\n' } else { b' ' };
            self.out.push(byte);
        }
    }

    /// The length of the comment or literal that begins here.
    fn literal_or_comment(&self, byte: u8) -> Option<usize> {
        let rest = self.rest();
        match (byte, self.peek(1)) {
            (b'/', Some(b'/')) => Some(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())),
            (b'/', Some(b'*')) => Some(block_comment(rest)),
            (b'"', _) => Some(quoted(rest, b'"')),
            (b'r', Some(b'"' | b'#')) if self.begins_a_word() => raw_string(rest),
            (b'\'', _) => character(rest),
            _ => None,
        }
    }

    /// Whether the last byte is no part of a name; the `b` and `c` of byte and C strings do not count.
    fn begins_a_word(&self) -> bool {
        let word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        match self.out.as_slice() {
            [before @ .., b'b' | b'c'] => !word(before.last()),
            before => !word(before.last()),
        }
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") if depth == 1 => return at + 2,
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"` or `r#"…"#`; `None` for a raw name, `r#fn`.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    let inside = 2 + hashes;
    let length = rest[inside..].windows(end.len()).position(|window| window == end);
    Some(length.map_or(rest.len(), |length| inside + length + end.len()))
}

/// `'a'`, `'\n'` or `'ä'`; `None` for a lifetime.
fn character(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        return Some(quoted(rest, b'\''));
    }
    let width = match rest.get(1)? {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    (rest.get(1 + width) == Some(&b'\'')).then_some(2 + width)
}

/// The offset of the brace that closes the one at `open`.
pub fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at),
            b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// The line of an offset, from 1.
pub fn line_of(code: &str, offset: usize) -> usize {
    1 + code.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count()
}

/// Where `needle` stands as whole words.
pub fn words<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let letter = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let (first, last) = (needle.as_bytes().first(), needle.as_bytes().last());
    code.match_indices(needle).map(|(at, _)| at).filter(move |at| {
        let bytes = code.as_bytes();
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let after = bytes.get(at + needle.len());
        let goes_on_before = letter(first) && letter(before);
        let goes_on_after = letter(last) && letter(after);
        !goes_on_before && !goes_on_after
    })
}

/// The code without its `#[cfg(test)]` modules, which are blanked.
pub fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for (attribute, _) in code.match_indices("#[cfg(test)]") {
        let Some(open) = code[attribute..].find(['{', ';']).map(|at| attribute + at) else { continue };
        let end = if code.as_bytes()[open] == b'{' { closing(code, open) } else { Some(open) };
        for byte in &mut out[attribute..=end.unwrap_or(code.len() - 1)] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A path that a `use` brings in: `use a::{b, c::d};` has `a::b` and `a::c::d`.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    /// The line of the `use`.
    pub line: usize,
    /// The whole path.
    pub path: String,
}

/// All imports of a file.
pub fn imports(code: &str) -> Vec<Import> {
    let mut imports = Vec::new();
    for at in words(code, "use ") {
        let Some(end) = code[at..].find(';') else { continue };
        let tree: String = code[at + 4..at + end].split_whitespace().collect::<Vec<_>>().join(" ");
        let line = line_of(code, at);
        expand("", &tree, &mut |path| imports.push(Import { line, path }));
    }
    imports
}

fn expand(prefix: &str, tree: &str, found: &mut impl FnMut(String)) {
    let tree = tree.trim().trim_start_matches("::");
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        if !path.is_empty() {
            found(format!("{prefix}{path}"));
        }
        return;
    };
    let Some(close) = closing(tree, open) else { return };
    let prefix = format!("{prefix}{}", &tree[..open]);
    let (mut depth, mut begin) = (0_usize, open + 1);
    for (at, byte) in tree.bytes().enumerate().take(close).skip(open + 1) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                expand(&prefix, &tree[begin..at], found);
                begin = at + 1;
            }
            _ => {}
        }
    }
    expand(&prefix, &tree[begin..close], found);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code, with runs of blanks as one.
    fn squeezed(text: &str) -> String {
        let code = code_only(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.lines().count(), text.lines().count());
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn blanks_comments_and_literals() {
        assert_eq!(squeezed("a // {\nb"), "a b");
        assert_eq!(squeezed("a /* { /* } */ { */ b"), "a b");
        assert_eq!(squeezed(r#"f("{\"{", x)"#), "f( , x)");
        assert_eq!(squeezed("r#\"a\"{\"#; br\"{\"; cr##\"\"#{\"##; b"), "; b ; c ; b");
        assert_eq!(squeezed("'{' '\\'' '\\u{7d}' 'ä' b'{' x"), "b x");
    }

    #[test]
    fn keeps_lifetimes_and_raw_names() {
        assert_eq!(squeezed("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(squeezed("'outer: loop { r#type(attr) }"), "'outer: loop { r#type(attr) }");
        assert_eq!(squeezed("for\"x\""), "for");
    }

    #[test]
    fn finds_the_closing_brace() {
        assert_eq!(closing("a { b { } } c", 2), Some(10));
        assert_eq!(closing("a { b", 2), None);
    }

    #[test]
    fn finds_whole_words_only() {
        assert_eq!(words("std::fs mystd::fs std::fsync", "std::fs").collect::<Vec<_>>(), [0]);
        assert_eq!(words("#[ignore] #[ignored]", "#[ignore").collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn blanks_test_modules() {
        let code =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod tests;\n";
        let left = without_tests(code);
        assert_eq!(left.split_whitespace().collect::<Vec<_>>().join(" "), "fn a() {} fn c() {}");
        assert_eq!(left.len(), code.len());
    }

    #[test]
    fn expands_imports() {
        let code =
            "use std::{fs, net::{IpAddr, TcpStream}, io::Write as _};\n  pub use\n a::b;\nlet reuse = 1;";
        let paths: Vec<_> = imports(code).into_iter().map(|import| (import.line, import.path)).collect();
        let expected =
            [(1, "std::fs"), (1, "std::net::IpAddr"), (1, "std::net::TcpStream"), (1, "std::io::Write")];
        assert_eq!(paths[..4], expected.map(|(line, path)| (line, path.to_owned())));
    }
}
