//! A file that is read again is read as the whole text would be, whatever has changed in it.

use proptest::prelude::*;

use super::*;

/// What is known after these texts were read one after the other.
fn known_after(texts: &[&str]) -> Option<Known> {
    let mut known = None;
    for text in texts {
        let read = parse_again(text, known.take());
        known = read.ok().and_then(|(root, shape)| Known::new(text, root, shape));
    }
    known
}

/// Whether the last text gives the same after the others as alone.
fn is_the_same(texts: &[&str]) -> bool {
    let Some((last, before)) = texts.split_last() else { return true };
    let again = parse_again(last, known_after(before)).map(|(root, _)| root);
    match (parse(last), again) {
        (Ok(whole), Ok(again)) => whole == again,
        (Err(whole), Err(again)) => whole == again,
        _ => false,
    }
}

/// How many elements of the second text are not parsed after the first.
#[track_caller]
fn left_out(before: &str, text: &str) -> usize {
    assert!(is_the_same(&[before, text]), "{text} after {before}");
    assert!(is_the_same(&[before, text, before, text]), "{text} after {before} and so on");
    let Some(known) = known_after(&[before]) else { return 0 };
    let text = content(text).expect("a short text");
    let runs = runs::find(text);
    let cut = Cut::new(text, &runs, known);
    let count = cut.seams.iter().map(|seam| seam.left_out.len()).sum();
    if cut.read(text, &runs).is_some() { count } else { 0 }
}

fn list(names: &[&str]) -> String {
    let items = names.iter().map(|name| format!("  - name: {name}\n    paths: [/{name}, \"/ä\"] # {name}\n"));
    format!("a: 1\nroutes:\n{}z: ~\n", items.collect::<String>())
}

#[test]
fn only_what_changed_is_parsed_again_and_the_first_and_the_last_element() {
    let before = list(&["a", "b", "c", "d", "e", "f"]);
    assert_eq!(left_out(&before, &before), 4);
    assert_eq!(left_out(&before, &list(&["a", "b", "x", "d", "e", "f"])), 3);
    assert_eq!(left_out(&before, &list(&["a", "e", "d", "c", "b", "f"])), 4, "in another order");
    assert_eq!(left_out(&before, &list(&["a", "c", "e", "f"])), 2, "some are gone");
    assert_eq!(left_out(&before, &list(&["a", "b", "b", "c", "d", "f"])), 3, "one is there twice");
    assert_eq!(left_out(&before, &list(&["a", "f"])), 0, "a short list is parsed");
    let below = before.replace("a: 1\n", "a: 1\nmore:\n  - 1\n  - 2\n\n# a comment\n");
    assert_eq!(left_out(&before, &below), 4, "other lines");
    assert_eq!(left_out(&below, &before), 4, "other lines");
    assert_eq!(left_out(&before, &before.replace("    paths", "\n# a comment\n    paths")), 0);
    let commented = before.replace("  - ", "# a comment\n\n  - ");
    assert_eq!(left_out(&commented, &commented), 4, "comments between elements are part of them");
}

#[test]
fn lists_in_lists_are_cut_where_it_is_worth_it() {
    let inner = |name: &str| format!("- name: {name}\n  tags:\n  - a\n  - b\n  - c\n  - d\n");
    let outer = |names: &[&str]| names.iter().map(|name| inner(name)).collect::<String>();
    let before = outer(&["a", "b", "c", "d", "e"]);
    assert_eq!(left_out(&before, &before), 3, "the outer list");
    let one = format!("- name: a\n  routes:\n{}", list(&["a", "b", "c", "d", "e", "f"]).split_at(13).1);
    let one = one.replace("z: ~\n", "");
    assert_eq!(left_out(&one, &one), 4, "the only element is the whole text: {one}");
    let two = format!("a:\n{before}b:\n{}", before.replace("name", "title"));
    assert_eq!(left_out(&two, &two), 6, "two lists");
    let same = format!("a:\n{before}b:\n{before}");
    assert_eq!(left_out(&same, &same), 3, "what is in two lists is left out once");
    let nested = "- - a\n  - b\n  - c\n  - d\n  - e\n  - f\n";
    assert_eq!(left_out(nested, nested), 3, "one that begins in the line of the outer one");
}

/// Four elements, of which the two in the middle can be left out.
const FOUR: &str = "l:\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n";

#[test]
fn lines_that_only_look_like_a_list_are_read_as_what_they_are() {
    for odd in [
        "l: |\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n",
        "l: |\n  - a: 1\n  - b: 2\n  - c: 3\n  - d: 4\n",
        "l: \"\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n\"\n",
        "l: '\n - a: 1\n - b: 2\n - c: 3\n - d: 4\n '\n",
        "l: [\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n]\n",
        "l: [a\n - a, 1,\n - b, 2,\n - c, 3,\n - d, 4]\n",
        "l: a\n - a\n - b\n - c\n - d\n",
        "l:\n- a: 1\n  b: 2\n- b: 2\n c: 5\n- c: 3\n- d: 4\n",
        "l:\n- a: 1\n- b: 2\n- \n- c: 3\n- d: 4\n",
        "l:\n- a: 1\n- b: 2\n-\n  x: 1\n- c: 3\n- d: 4\n",
        "l:\n- \"a\n- b\"\n- b: 2\n- c: 3\n- d: 4\n",
        "l:\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n---\nl:\n- a: 1\n",
        "l:\n- a: 1\n- b: 2\n- c: 3\n...\n- d: 4\n",
        "<<:\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n",
        "? l\n:\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n",
        "1:\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n",
        "l: 1\nl:\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n",
        "l: {\nm:\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n}",
        "l: &x\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n",
        "x: &x {a: 1}\nl:\n- a: 1\n- b: 2\n- *x\n- c: 3\n- d: 4\n",
        "l: !!seq\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n",
        "l:\n- a: 1\n- b: 2\n- ! c\n- c: 3\n- d: 4\n",
        "\u{feff}l:\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n",
        "l:\n- a: 1\n- b: 2\n\u{feff}- c: 3\n- d: 4\n",
        "l:\r\n- a: 1\r\n- b: 2\r\n- c: 3\r\n- d: 4\r\n",
        "l:\n- a: 1\n- b: 2\n- c:\t3\n- d: 4\n",
        "l:\n- a: 1\n- b: 2\0\n- c: 3\n- d: 4\n",
        "l:\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n:",
        "l:\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n  x",
        "l:\n- a: 1\n- b: 2\n\u{a0}\n- c: 3\n- d: 4\n",
        "l:\n  - a: 1\n  - b: 2\n\u{a0}\n  - c: 3\n  - d: 4\n",
        "%YAML 1.2\n---\nl:\n- a: 1\n- b: 2\n- c: 3\n- d: 4\n",
    ] {
        left_out(FOUR, odd);
        left_out(odd, FOUR);
        left_out(odd, odd);
        let moved = format!("x:\n\n{odd}");
        left_out(odd, &moved);
        left_out(&moved, odd);
    }
}

#[test]
fn the_place_of_an_absent_value_is_that_of_the_whole_text() {
    // The parser gives a value that is absent at the end of an element the place of what comes next.
    for element in [
        "? b", "b", "b:", "[b: ]", "[b, ]", "{b: }", "{b, }", "? [b]", "{? b}", "[? b]", ": b", "? b\n  :",
        "- - ?",
    ] {
        let before = format!("l:\n- a: 1\n- {element}\n- c: 3\n- {element}\n- d: 4\n- e\n");
        let after = format!("l:\n- a: 1\n- x: 5\n- {element}\n- c: 3\n- {element}\n- d: 4\n- e\n");
        left_out(&before, &after);
        left_out(&before, &before.replace("- d: 4\n", ""));
        left_out(&before, &format!("\n\n{after}"));
        left_out(&after, &before);
    }
}

#[test]
fn the_limits_hold_for_the_whole_text() {
    let many = |count: usize| {
        let item = format!("- [{}]\n", "x,".repeat(999));
        format!(
            "l:\n- a\n{}- z\n",
            (0..count).map(|number| item.replacen('x', &number.to_string(), 1)).collect::<String>()
        )
    };
    let known = known_after(&[&many(999)]);
    assert!(known.as_ref().is_some_and(|known| known.lists[0].elements.len() > 900));
    let faults = parse_again(&many(1_000), known).err().expect("too many values");
    assert_eq!(faults[0].message, "more than 1000000 values, aliases resolved");
    let deep = |outer: &str| {
        format!(
            "{outer}:\n      - [[[[[[[[[[x]]]]]]]]]]\n      - {0}y{1}\n      - z\n      - w\n",
            "[".repeat(57),
            "]".repeat(57)
        )
    };
    let (fits, too_deep) = (deep("a:\n  b:\n    c"), deep("? a:\n    b:\n     c"));
    assert!(parse(&fits).is_ok());
    left_out(&fits, &fits);
    left_out(&fits, &too_deep);
}

/// A list with some odd lines, at some depth.
fn text() -> impl Strategy<Value = Vec<String>> {
    let value = prop::sample::select(vec![
        "a",
        "b: 1",
        "{ a: 1, b: [x] }",
        "[a, b]",
        "a: b",
        "\"x\"",
        "'y",
        "\"z",
        "|",
        "a: |",
        ">-",
        "a:",
        "? a",
        ": a",
        "- a",
        "- - b",
        "",
        "# c",
        "a # c",
        "&x a",
        "*x",
        "!!str a",
        "{",
        "[",
        "}",
        "]",
        "a: [",
        "\ta",
        "---",
        "...",
        "ä: ö",
        "<<: { a: 1 }",
        "a: >\n      text\n\n",
        "a: 1\n    b: 2",
        "x\n    y",
        "{ a: 1,\n    b: 2 }",
        "\"q\n    r\"",
        "%",
        "@",
        "a: \"\\\n   b\"",
        "x\r",
        "1: 2",
        "a: 1\n    a: 2",
    ]);
    let plain = prop::sample::select(vec![
        "a",
        "b: 1",
        "{ a: 1, b: [x] }",
        "c: d\n    e: f",
        "- x\n    - y",
        "a:\n    - b",
    ]);
    let indent = prop::sample::select(vec![2usize, 2, 2, 2, 0, 1, 4]);
    let odd = (indent, prop::bool::ANY, value).prop_map(|(indent, dash, value)| {
        format!("{}{}{value}\n", " ".repeat(indent), if dash { "- " } else { "" })
    });
    let item = plain.prop_map(|value| format!("  - {value}\n"));
    let line = prop_oneof![12 => item, 1 => odd];
    prop::collection::vec(line, 4..16)
}

/// The text with some of its lines replaced, gone, or there once more.
fn edited(lines: &[String], more: &[String], edits: &[(usize, usize, u8)]) -> Vec<String> {
    let mut lines = lines.to_vec();
    for (at, from, how) in edits {
        let (at, from) = (at % (lines.len() + 1), &more[from % more.len()]);
        match how {
            0 if at < lines.len() => lines[at].clone_from(from),
            1 if at < lines.len() => drop(lines.remove(at)),
            2 if at < lines.len() => lines.insert(at, lines[at].clone()),
            _ => lines.insert(at, from.clone()),
        }
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_changes_the_result_is_that_of_the_whole_text(
        lines in text(),
        more in text(),
        edits in prop::collection::vec((0..32usize, 0..32usize, 0..4u8), 0..4),
        heads in (0..4usize, 0..4usize),
    ) {
        let head = |number: usize| ["r:\n", "a: 1\nr:\n", "", "x: |\n"][number];
        let before = format!("{}{}", head(heads.0), lines.concat());
        let after = format!("{}{}", head(heads.1), edited(&lines, &more, &edits).concat());
        prop_assert!(is_the_same(&[&before, &after]));
        prop_assert!(is_the_same(&[&before, &after, &before]));
    }
}
