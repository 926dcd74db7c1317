//! What people read: rows in columns, and one thing as lines, cut to the width of a terminal.

use std::fmt::Write;

use serde_json::Value;

/// The columns of a terminal that was never made wider.
pub const WIDTH: usize = 80;

/// A column of a table.
pub struct Column {
    /// Its title.
    pub title: &'static str,
    /// What it has of a row.
    pub of: fn(&Value) -> String,
    /// What of it goes when the line is too long.
    pub cut: Cut,
}

/// What of a cell goes when the line is too long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    Never,
    /// Its beginning: what tells keys and URLs apart is at their ends.
    Begin,
    /// Its end.
    End,
}

/// The lines of a table, its titles first. Those that would be longer than `width` are cut; with `None`, none is.
pub fn lines(columns: &[Column], rows: &[Value], width: Option<usize>) -> Vec<String> {
    let titles = columns.iter().map(|column| column.title.to_owned()).collect();
    let cells = rows.iter().map(|row| columns.iter().map(|column| plain(&(column.of)(row))).collect());
    let cells: Vec<Vec<String>> = std::iter::once(titles).chain(cells).collect();
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|index| cells.iter().map(|row| length(&row[index])).max().unwrap_or(0))
        .collect();
    if let Some(width) = width {
        narrow(&mut widths, columns, width);
    }
    cells.iter().map(|row| line(columns, row, &widths)).collect()
}

/// Takes from the widest column that may be cut until all fit, or none can be cut further.
fn narrow(widths: &mut [usize], columns: &[Column], width: usize) {
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        let can_be_cut = (0..columns.len()).filter(|index| columns[*index].cut != Cut::Never);
        let widest = can_be_cut.max_by_key(|index| widths[*index]);
        match widest.filter(|index| widths[*index] > 4) {
            Some(index) => widths[index] -= 1,
            None => return,
        }
    }
}

fn line(columns: &[Column], row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for ((column, cell), width) in columns.iter().zip(row).zip(widths) {
        // A string takes whatever is written to it.
        let _ = write!(line, "{:<width$}  ", shortened(cell, *width, column.cut));
    }
    line.truncate(line.trim_end().len());
    line
}

fn shortened(text: &str, width: usize, cut: Cut) -> String {
    let length = length(text);
    if length <= width {
        return text.to_owned();
    }
    match cut {
        Cut::Begin => std::iter::once('…').chain(text.chars().skip(length - width + 1)).collect(),
        Cut::End | Cut::Never => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// One thing as lines: `name: value`, what is within it indented below.
pub fn details(value: &Value, width: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    detail(value, 0, &mut lines);
    match width {
        Some(width) => lines.iter().map(|line| shortened(line, width, Cut::End)).collect(),
        None => lines,
    }
}

fn detail(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match scalar(value) {
                    Some(text) => lines.push(format!("{indent}{name}: {text}")),
                    None => {
                        lines.push(format!("{indent}{name}:"));
                        detail(value, depth + 1, lines);
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let first = lines.len();
                match item {
                    // A pair of a header's name and value.
                    Value::Array(pair) if pair.iter().all(|part| part.is_string()) => {
                        let texts: Vec<String> = pair.iter().filter_map(scalar).collect();
                        lines.push(format!("{indent}  {}", texts.join(": ")));
                    }
                    item => detail(item, depth + 1, lines),
                }
                if let Some(line) = lines.get_mut(first) {
                    line.replace_range(indent.len()..indent.len() + 2, "- ");
                }
            }
        }
        value => lines.push(format!("{indent}{}", scalar(value).unwrap_or_default())),
    }
}

/// What is written in one line.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Object(members) if members.is_empty() => Some("none".into()),
        Value::Array(items) if items.is_empty() => Some("none".into()),
        Value::Object(_) | Value::Array(_) => None,
        Value::String(text) => Some(plain(text)),
        other => Some(other.to_string()),
    }
}

/// What came from outside moves no cursor and breaks no line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: &[Column] = &[
        Column { title: "SEQ", of: |row| row["seq"].to_string(), cut: Cut::Never },
        Column { title: "KEY", of: |row| row["key"].as_str().unwrap_or_default().into(), cut: Cut::Begin },
        Column { title: "CAUSE", of: |row| row["cause"].as_str().unwrap_or_default().into(), cut: Cut::End },
    ];

    #[test]
    fn a_table_fits_and_says_where_it_was_cut() {
        let rows = [
            json!({ "seq": 1, "key": "profiles/profiles/4242", "cause": "answered 503" }),
            json!({ "seq": 22, "key": "a\u{1b}[2J\n", "cause": "" }),
        ];
        assert_eq!(
            lines(COLUMNS, &rows, None),
            ["SEQ  KEY                     CAUSE", "1    profiles/profiles/4242  answered 503", "22   a [2J",]
        );
        assert_eq!(
            lines(COLUMNS, &rows, Some(26)),
            ["SEQ  KEY         CAUSE", "1    …iles/4242  answered…", "22   a [2J"]
        );
        // What may not be cut stays, however narrow.
        assert!(lines(COLUMNS, &rows, Some(1)).iter().all(|line| line.len() >= 4));
    }

    #[test]
    fn one_thing_is_lines_with_what_is_within_it_below() {
        let thing = json!({
            "id": 7, "links": { "event": "/x" }, "none": [], "attempts": [{ "number": 1, "error": "a\nb" }, { "number": 2 }],
            "headers": [["host", "h"]],
        });
        let expected = [
            "id: 7",
            "links:",
            "  event: /x",
            "none: none",
            "attempts:",
            "  - number: 1",
            "    error: a b",
            "  - number: 2",
            "headers:",
            "  - host: h",
        ];
        assert_eq!(details(&thing, None), expected);
        assert_eq!(details(&thing, Some(6))[2], "  eve…");
    }
}
