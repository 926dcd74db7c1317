//! Places, paths, limits and the scalars of YAML.

use super::*;

fn faults(text: &str) -> Vec<String> {
    let faults = parse(text).err().unwrap_or_default();
    faults
        .iter()
        .map(|fault| format!("{}:{} {}", fault.place.line, fault.place.column, fault.message))
        .collect()
}

#[test]
fn every_value_knows_its_place() {
    let root = parse("a:\n  - b: 1\n    c: \"ä\" \n  - [x, {d: e}]\n").ok().unwrap();
    let place = |path: TreePath| {
        let Place { line, column } = root.place_of(&path);
        (line, column)
    };
    let a = TreePath::default().key("a");
    assert_eq!(place(a.index(0)), (2, 5));
    assert_eq!(place(a.index(0).key("b")), (2, 8));
    assert_eq!(place(a.index(0).key("c")), (3, 8));
    assert_eq!(place(a.index(1).index(1).key("d")), (4, 13));
    assert_eq!(place(a.index(0).key("none").key("deeper")), (2, 5), "the innermost that exists");
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_do_not_move_places() {
    let root = parse("\u{feff}a: 1\r\nb: 2\r\n").ok().unwrap();
    assert_eq!(root.place_of(&TreePath::default().key("b")), Place { line: 2, column: 4 });
}

#[test]
fn paths_read_as_in_a_program() {
    let path = TreePath::default().key("services").index(0).key("a b").key("x");
    assert_eq!(path.to_string(), r#"services[0]["a b"].x"#);
}

#[test]
fn pointers_become_paths() {
    let root = parse("a: [{x/y: 1}]\nb: {0: z}\n\"0\": {}").err();
    assert!(root.is_some(), "a number is no key");
    let root = parse("a: [{x/y: 1}]\nb: {'0': z}\n").ok().unwrap();
    let path = |pointer| root.resolve_pointer(&TreePath::default(), pointer).to_string();
    assert_eq!(path("/a/0/x~1y"), r#"a[0]["x/y"]"#);
    assert_eq!(path("/b/0"), "b.0");
    assert_eq!(path(""), "");
}

#[test]
fn depth_is_limited() {
    let nest = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(faults(&nest(MAX_DEPTH)), [""; 0]);
    assert_eq!(faults(&nest(MAX_DEPTH + 1)), ["1:65 nested deeper than 64 levels"]);
    assert_eq!(faults(&"- ".repeat(500_000)), ["1:129 nested deeper than 64 levels"]);
    // Aliases count with the depth of what they stand for.
    let half = nest(MAX_DEPTH / 2);
    assert_eq!(faults(&format!("a: &a {half}\nb: [*a]\n")), [""; 0]);
    let text = format!("a: &a {half}\nb: {}*a{}\n", "[".repeat(40), "]".repeat(40));
    assert_eq!(faults(&text), ["2:44 nested deeper than 64 levels"]);
}

#[test]
fn size_is_limited() {
    let text = " ".repeat(MAX_FILE + 1);
    assert_eq!(faults(&text), ["1:1 larger than 16 MiB"]);
    assert_eq!(faults(&text[1..]), [""; 0]);
}

#[test]
fn aliases_of_aliases_are_limited() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let found = faults(&text);
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with("more than 1000000 values, aliases resolved"), "{found:?}");
}

#[test]
fn merges_add_what_is_missing() {
    let root = parse("a: &a {x: 1, y: 2}\nb: &b {z: 3}\nc: {<<: [*a, *b], x: 9}\n").ok().unwrap();
    assert_eq!(root.to_json()["c"], serde_json::json!({"x": 9, "y": 2, "z": 3}));
    assert_eq!(faults("a: {<<: 1}"), ["1:9 `<<` merges a mapping"]);
}

#[test]
fn scalars_are_those_of_yaml_1_2() {
    let root = parse("[1, 0x10, 1.5, true, yes, null, ~, '', \"1\", !!str 1, 12345678901234567890, .inf]")
        .ok()
        .unwrap();
    let expected = serde_json::json!([
        1,
        16,
        1.5,
        true,
        "yes",
        null,
        null,
        "",
        "1",
        "1",
        12345678901234567890.0,
        ".inf"
    ]);
    assert_eq!(root.to_json(), expected);
}
