//! Text in XML.

/// `text` as the content of an element, where quotes need no escape. Characters that XML 1.0 does not allow become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // Readers turn a bare one into a line feed.
            '\r' => escaped.push_str("&#xD;"),
            '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => escaped.push(char),
            _ => escaped.push(char::REPLACEMENT_CHARACTER),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_xml_would_misread() {
        for (text, written) in [
            ("plain ä 😀 \t\n", "plain ä 😀 \t\n"),
            ("<a href=\"x\">&amp;'</a>", "&lt;a href=\"x\"&gt;&amp;amp;'&lt;/a&gt;"),
            ("a\r\nb", "a&#xD;\nb"),
            ("\0\u{1b}\u{fffe}\u{ffff}", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(escape(text), written);
        }
    }
}
