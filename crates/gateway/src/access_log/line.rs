//! A line of the access log, in its two forms.
//!
//! It has no query, because queries hold keys (`?apikey=`), and no header but the client's address.

use event::{EventId, Timestamp};
use pipeline::observe::{End, Source, Took};

/// The longest path, in bytes; of a longer one the beginning is written.
const MAX_PATH: usize = 2_048;
/// The longest name and method, in bytes.
const MAX_NAME: usize = 256;

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people: time, client, method, path and status, then `name=value`.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is known of a request that is over.
pub(crate) struct Line<'a> {
    /// When its head had come.
    pub at: Timestamp,
    /// Its id, which is that of its first event.
    pub id: EventId,
    pub client: &'a str,
    pub method: &'a str,
    /// As the client sent it, without the query.
    pub path: &'a str,
    pub status: Option<u16>,
    pub upstream_status: Option<u16>,
    pub service: Option<&'a str>,
    pub route: Option<&'a str>,
    /// Where it was sent.
    pub upstream: Option<&'a str>,
    pub took: Took,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// What its event says, if it made one.
    pub outcome: Option<&'static str>,
    pub source: Option<Source>,
    pub end: End,
}

/// A value of a line.
enum Value<'a> {
    Text(&'a str),
    Number(u64),
    /// In milliseconds, with three decimals.
    Micros(u64),
    /// What the text of a time has before its milliseconds, and these.
    Time(&'a str, u16),
    Nothing,
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.filter(|text| !text.is_empty()).map_or(Self::Nothing, Self::Text)
    }
}

impl From<Option<u16>> for Value<'_> {
    fn from(number: Option<u16>) -> Self {
        number.map_or(Self::Nothing, |number| Self::Number(number.into()))
    }
}

/// A name as it stands before its value.
struct Name {
    text: &'static str,
    json: &'static str,
}

macro_rules! name {
    ($name:literal) => {
        Name { text: concat!(" ", $name, "="), json: concat!(",\"", $name, "\":") }
    };
}

/// The text of a time but for its milliseconds: most lines are of the same second as the one before.
#[derive(Default)]
pub(crate) struct Second {
    of: Option<u64>,
    text: String,
}

impl Second {
    fn of(&mut self, at: Timestamp) -> &str {
        if self.of != Some(at.as_secs()) {
            self.of = Some(at.as_secs());
            self.text = at.to_string();
            self.text.truncate(self.text.len().saturating_sub("719Z".len()));
        }
        &self.text
    }
}

impl Line<'_> {
    /// Writes the line with its end.
    pub fn write(&self, form: Form, second: &mut Second, out: &mut Vec<u8>) {
        let mut id = [0; 36];
        let id: &str = self.id.write(&mut id);
        let micros = |took: std::time::Duration| Value::Micros(took.as_micros() as u64);
        let source = self.source.map(|source| match source {
            Source::Upstream => "upstream",
            Source::Plugin => "plugin",
            Source::Gateway => "gateway",
        });
        let end = match self.end {
            End::Whole => "whole",
            End::Cut => "cut",
            End::ClientLeft => "client_left",
        };
        // In the text the first five have no names.
        let values = [
            (name!("time"), Value::Time(second.of(self.at), (self.at.as_millis() % 1_000) as u16)),
            (name!("client"), Value::Text(self.client)),
            (name!("method"), Value::Text(cut(self.method, MAX_NAME))),
            (name!("path"), Value::Text(cut(self.path, MAX_PATH))),
            (name!("status"), self.status.into()),
            (name!("route"), self.route.map(|name| cut(name, MAX_NAME)).into()),
            (name!("service"), self.service.map(|name| cut(name, MAX_NAME)).into()),
            (name!("upstream"), self.upstream.into()),
            (name!("upstream_status"), self.upstream_status.into()),
            (name!("total_ms"), micros(self.took.total)),
            (name!("upstream_ms"), self.took.upstream.map_or(Value::Nothing, micros)),
            (name!("gateway_ms"), micros(self.took.gateway)),
            (name!("bytes_in"), Value::Number(self.bytes_in)),
            (name!("bytes_out"), Value::Number(self.bytes_out)),
            (name!("id"), Value::Text(id)),
            (name!("event"), self.outcome.map(|_| id).into()),
            (name!("outcome"), self.outcome.into()),
            (name!("by"), source.into()),
            (name!("end"), Value::Text(end)),
        ];
        match form {
            Form::Text => text(&values, out),
            Form::Json => json(&values, out),
        }
        out.push(b'\n');
    }
}

/// How many values of a line of text have no name.
const NAMELESS: usize = 5;

fn text(values: &[(Name, Value<'_>)], out: &mut Vec<u8>) {
    for (place, (name, value)) in values.iter().enumerate() {
        if place >= NAMELESS {
            out.extend_from_slice(name.text.as_bytes());
        } else if place > 0 {
            out.push(b' ');
        }
        match value {
            Value::Text(text) if all(text, is_plain) => out.extend_from_slice(text.as_bytes()),
            Value::Text(text) => quoted(text, out),
            Value::Nothing => out.push(b'-'),
            Value::Number(number) => decimal(*number, out),
            Value::Micros(micros) => millis(*micros, out),
            Value::Time(second, millis) => time(second, *millis, out),
        }
    }
}

fn json(values: &[(Name, Value<'_>)], out: &mut Vec<u8>) {
    let begin = out.len();
    for (name, value) in values {
        if matches!(value, Value::Nothing) {
            continue;
        }
        out.extend_from_slice(name.json.as_bytes());
        match value {
            Value::Text(text) => quoted(text, out),
            Value::Number(number) => decimal(*number, out),
            Value::Micros(micros) => millis(*micros, out),
            Value::Time(second, millis) => {
                out.push(b'"');
                time(second, *millis, out);
                out.push(b'"');
            }
            Value::Nothing => {}
        }
    }
    // In the place of the comma before the first name.
    out[begin] = b'{';
    out.push(b'}');
}

/// Whether a condition holds for all bytes. Looks at all of them, many at a time.
fn all(text: &str, condition: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & condition(byte))
}

/// Whether a byte can be in a value of the text without quotes.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\')
}

/// A JSON string.
fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    match all(text, |byte| !is_special(byte)) {
        true => out.extend_from_slice(text.as_bytes()),
        false => escaped(text, out),
    }
    out.push(b'"');
}

/// Whether a byte has to be escaped in a JSON string; of those beyond ASCII none has.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20 | 0x7f)
}

#[cold]
fn escaped(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 | 0x7f => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
}

fn millis(micros: u64, out: &mut Vec<u8>) {
    decimal(micros / 1_000, out);
    let [first, second, third] = three_digits((micros % 1_000) as u16);
    out.extend_from_slice(&[b'.', first, second, third]);
}

fn time(second: &str, millis: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(second.as_bytes());
    let [first, second, third] = three_digits(millis);
    out.extend_from_slice(&[first, second, third, b'Z']);
}

fn three_digits(number: u16) -> [u8; 3] {
    [number / 100, number / 10, number].map(|number| b'0' + (number % 10) as u8)
}

fn decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut begin = digits.len();
    loop {
        begin -= 1;
        digits[begin] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[begin..]);
}

/// The beginning of a text that is too long.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// A line about this path.
    pub fn line(path: &str) -> Line<'_> {
        let took = Took {
            gateway: Duration::from_micros(45),
            upstream: Some(Duration::from_micros(1_002)),
            total: Duration::from_micros(12_345_678),
        };
        Line {
            at: Timestamp::from_millis(1_335_390_565_719),
            id: EventId::v7(Timestamp::from_millis(0), [0; 10]),
            client: "::1",
            method: "PUT",
            path,
            status: Some(200),
            upstream_status: Some(201),
            service: Some("a service"),
            route: None,
            upstream: None,
            took,
            bytes_in: 0,
            bytes_out: 1_234_567_890,
            outcome: Some("succeeded"),
            source: Some(Source::Upstream),
            end: End::Whole,
        }
    }

    fn written(line: &Line<'_>, form: Form) -> String {
        let mut out = Vec::new();
        line.write(form, &mut Second::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_text_has_names_for_all_but_the_first_five() {
        assert_eq!(
            written(&line("/profile"), Form::Text),
            "2012-04-25T21:49:25.719Z ::1 PUT /profile 200 route=- service=\"a service\" upstream=- upstream_status=201 \
             total_ms=12345.678 upstream_ms=1.002 gateway_ms=0.045 bytes_in=0 bytes_out=1234567890 \
             id=00000000-0000-7000-8000-000000000000 event=00000000-0000-7000-8000-000000000000 outcome=succeeded by=upstream \
             end=whole\n"
        );
    }

    #[test]
    fn whatever_the_path_is_the_json_is_valid_and_says_it() {
        let long = "é".repeat(3_000);
        for path in ["/profile", "/\"quoted\"\\", "/\u{1}\u{1f}\u{7f}\n", "/ü/\u{10ffff}", "", &long] {
            let text = written(&line(path), Form::Json);
            assert_eq!(text.matches('\n').count(), 1, "one line: {text}");
            let object: serde_json::Value = serde_json::from_str(&text).unwrap();
            let said = object["path"].as_str().unwrap();
            assert!(path.starts_with(said) && said.len() == path.len().min(MAX_PATH), "{said}");
            assert_eq!(
                (&object["total_ms"], &object["bytes_out"]),
                (&12_345.678.into(), &1_234_567_890.into())
            );
            assert_eq!(
                (object.get("route"), object.get("upstream")),
                (None, None),
                "what is not known is not there"
            );
        }
    }

    #[test]
    fn times_of_one_second_and_of_another_are_written_alike() {
        let mut second = Second::default();
        for millis in [0, 7, 999, 1_000, 60_010, 59_999, 1_335_390_565_719] {
            let (at, mut out) = (Timestamp::from_millis(millis), Vec::new());
            time(second.of(at), (millis % 1_000) as u16, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), at.to_string());
        }
    }

    #[test]
    fn a_text_value_with_a_space_or_a_quote_is_quoted() {
        let text = written(&line("/a\"b c\n=d"), Form::Text);
        assert!(text.contains(r#" PUT "/a\"b c\u000a=d" 200 "#) && text.matches('\n').count() == 1, "{text}");
    }
}
