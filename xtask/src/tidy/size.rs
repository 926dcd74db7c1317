//! How long files and functions are. Medians say little; what people fear is the long tail.

use super::lexer::{closing, code_only, line_of, words};
use super::rules::{
    FILE_LINES, FILE_LINES_P90, FUNCTION_LINES, FUNCTION_LINES_P90, LONG_FILES, LONG_FUNCTIONS,
};
use super::tree::{Finding, Tree};

const RULES: &str = "xtask/src/tidy/rules.rs";

/// All checks of this file.
pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let measured = |file: &super::tree::File| (file.path.clone(), file.text.lines().count());
    files(&tree.rust().map(measured).collect::<Vec<_>>(), LONG_FILES, findings);
    let all: Vec<_> = tree
        .rust()
        .flat_map(|file| {
            functions(&code_only(&file.text)).into_iter().map(|found| (file.path.clone(), found))
        })
        .collect();
    function_lengths(&all, LONG_FUNCTIONS, findings);
}

fn files(files: &[(String, usize)], long: &[(&str, &str)], findings: &mut Vec<Finding>) {
    for (path, lines) in files {
        if *lines > FILE_LINES && long.iter().all(|(known, _)| known != path) {
            let advice = "split it by subject; tests go into `foo/tests.rs`";
            findings.push(Finding::file(path, format!("{lines} lines, more than {FILE_LINES}"), advice));
        }
    }
    for (known, reason) in long {
        let still = files.iter().any(|(path, lines)| path == known && *lines > FILE_LINES);
        if !still || reason.is_empty() {
            let problem = format!("`{known}` stands in LONG_FILES without need or without a reason");
            findings.push(Finding::file(RULES, problem, "remove it, or say why"));
        }
    }
    let p90 = p90(files.iter().map(|(_, lines)| *lines).collect());
    if p90 > FILE_LINES_P90 {
        let longest = longest(files.iter().map(|(path, lines)| (*lines, path.clone())).collect());
        let problem = format!("one file in ten is longer than {p90} lines; the limit is {FILE_LINES_P90}");
        findings.push(Finding::file(RULES, problem, format!("split the longest: {longest}")));
    }
}

fn function_lengths(all: &[(String, Function)], ratchet: usize, findings: &mut Vec<Finding>) {
    let long: Vec<_> = all.iter().filter(|(_, function)| function.lines > FUNCTION_LINES).collect();
    if long.len() > ratchet {
        for (path, Function { name, line, lines }) in &long {
            let problem = format!(
                "`{name}` has {lines} lines, more than {FUNCTION_LINES} ({ratchet} such are allowed)"
            );
            findings.push(Finding::line(path, *line, problem, "split it into steps that have names"));
        }
    }
    if long.len() < ratchet {
        let problem = format!("LONG_FUNCTIONS is {ratchet}, but only {} are left", long.len());
        findings.push(Finding::file(RULES, problem, format!("lower it to {}", long.len())));
    }
    let p90 = p90(all.iter().map(|(_, function)| function.lines).collect());
    if p90 > FUNCTION_LINES_P90 {
        let named = |(path, function): &(String, Function)| {
            (function.lines, format!("{path}:{} {}", function.line, function.name))
        };
        let longest = longest(all.iter().map(named).collect());
        let problem =
            format!("one function in ten is longer than {p90} lines; the limit is {FUNCTION_LINES_P90}");
        findings.push(Finding::file(RULES, problem, format!("split the longest: {longest}")));
    }
}

/// The length that nine of ten do not exceed.
fn p90(mut lengths: Vec<usize>) -> usize {
    lengths.sort_unstable();
    let rank = (lengths.len() * 9).div_ceil(10);
    rank.checked_sub(1).map_or(0, |last| lengths[last])
}

fn longest(mut named: Vec<(usize, String)>) -> String {
    named.sort_by(|one, other| other.cmp(one));
    let shown: Vec<_> = named.iter().take(5).map(|(lines, name)| format!("{name} ({lines})")).collect();
    shown.join(", ")
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    /// From the line of `fn` to the line of the closing brace.
    lines: usize,
}

fn functions(code: &str) -> Vec<Function> {
    words(code, "fn ").filter_map(|at| function(code, at)).collect()
}

fn function(code: &str, at: usize) -> Option<Function> {
    let after = &code[at + 3..];
    let end = after.find(|next: char| !next.is_ascii_alphanumeric() && next != '_' && next != '#')?;
    let name = after[..end].to_owned();
    let open = body(code, at + 3 + end)?;
    let close = closing(code, open)?;
    let line = line_of(code, at);
    let lines = line_of(code, close) + 1 - line;
    (!name.is_empty()).then_some(Function { name, line, lines })
}

/// Where the body of a function begins whose signature goes on at `from`; `None` for a declaration.
fn body(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(code: &str) -> Vec<(String, usize, usize)> {
        let found = functions(&code_only(code));
        found.into_iter().map(|function| (function.name, function.line, function.lines)).collect()
    }

    #[test]
    fn measures_functions() {
        let code = "\
trait T {
    fn declared(&self, bytes: [u8; 4]) -> [u8; 2];
    fn given(&self) -> bool {
        true
    }
}
pub async fn outer<F: Fn() -> u8>(
    f: F,
    other: fn(u8) -> u8,
) -> Result<(), ()>
where
    F: Send,
{
    // }
    let text = \"}\";
    fn inner() {}
    if text.is_empty() {
    }
}
fn one() {}
";
        let expected = [("given", 3, 3), ("outer", 7, 13), ("inner", 16, 1), ("one", 20, 1)];
        assert_eq!(lengths(code), expected.map(|(name, line, lines)| (name.to_owned(), line, lines)));
    }

    #[test]
    fn the_word_in_a_comment_or_a_string_is_no_function() {
        assert_eq!(lengths("// fn a() {}\nlet x = \"fn b() {}\"; let my_fn = 1;"), []);
    }

    #[test]
    fn nine_of_ten() {
        assert_eq!(p90(vec![]), 0);
        assert_eq!(p90(vec![7]), 7);
        assert_eq!(p90((1..=10).collect()), 9);
        assert_eq!(p90((1..=100).rev().collect()), 90);
    }

    fn of_lines(lines: usize) -> (String, Function) {
        ("a.rs".into(), Function { name: "f".into(), line: 3, lines })
    }

    #[test]
    fn the_ratchet_only_goes_down() {
        let mut all: Vec<_> = (0..20).map(|_| of_lines(5)).collect();
        all.push(of_lines(FUNCTION_LINES + 1));
        let found = |ratchet| {
            let mut findings = Vec::new();
            function_lengths(&all, ratchet, &mut findings);
            findings.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(found(0)[0].starts_with("a.rs:3: `f` has 71 lines"), "{:?}", found(0));
        assert_eq!(found(1), [""; 0]);
        assert!(found(2)[0].contains("lower it to 1"), "{:?}", found(2));
    }

    #[test]
    fn the_tail_of_functions_counts() {
        let all: Vec<_> = (0..20).map(|number| of_lines(if number < 15 { 5 } else { 40 })).collect();
        let mut findings = Vec::new();
        function_lengths(&all, 0, &mut findings);
        assert!(findings[0].to_string().contains("longer than 40 lines"), "{findings:?}");
    }

    #[test]
    fn files_have_a_limit_and_a_tail() {
        let short = |number: usize| (format!("{number}.rs"), 100);
        let mut all: Vec<_> = (0..20).map(short).collect();
        all.push(("long.rs".into(), FILE_LINES + 1));
        let found = |long: &[(&str, &str)], all: &[(String, usize)]| {
            let mut findings = Vec::new();
            files(all, long, &mut findings);
            findings.len()
        };
        assert_eq!(found(&[], &all), 1);
        assert_eq!(found(&[("long.rs", "generated")], &all), 0);
        assert_eq!(found(&[("long.rs", "")], &all), 1);
        assert_eq!(found(&[("gone.rs", "generated")], &all), 2);
        let tail: Vec<_> = (0..10).map(|number| (format!("{number}.rs"), FILE_LINES_P90 + 1)).collect();
        assert_eq!(found(&[], &tail), 1);
    }
}
