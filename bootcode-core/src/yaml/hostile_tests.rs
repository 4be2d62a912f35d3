//! Text that somebody saved strangely, and text that is meant to hurt.

use serde_json::{Value, json};

use super::{load::work_of, *};
use crate::limits::{FAULTS, YAML_ALIAS_NODES, YAML_NODES};

/// Every document as JSON, or the first fault.
fn read_as(text: &str) -> Result<Vec<Value>, String> {
    let documents = parse_documents("t.yaml", text).map_err(|faults| faults.0[0].to_string())?;
    Ok(documents.iter().map(Node::to_json).collect())
}

#[test]
fn text_that_editors_save_strangely_is_read_or_refused_with_its_place() {
    type Case = (&'static str, &'static str, Result<Vec<Value>, &'static str>);
    let cases: &[Case] = &[
        ("nothing", "", Ok(vec![])),
        ("blank lines", "\n  \n\n", Ok(vec![])),
        ("a comment", "# nothing here\n", Ok(vec![])),
        ("only markers", "---\n---\n...\n---\n", Ok(vec![])),
        ("null", "---\nnull\n---\n~\n", Ok(vec![])),
        ("a byte order mark", "\u{feff}a: 1\n", Ok(vec![json!({"a": 1})])),
        (
            "Windows",
            "a: 1\r\nb:\r\n  - x\r\n---\r\nc: |\r\n  l1\r\n  l2\r\n",
            Ok(vec![json!({"a": 1, "b": ["x"]}), json!({"c": "l1\nl2\n"})]),
        ),
        ("no newline at the end", "a: 1", Ok(vec![json!({"a": 1})])),
        ("text behind a marker", "--- {a: 1}\n--- |\n x\n", Ok(vec![json!({"a": 1}), json!("x\n")])),
        ("an end and another", "a: 1\n...\n---\nb: 2\n", Ok(vec![json!({"a": 1}), json!({"b": 2})])),
        ("four dashes", "a: 1\n----\nb: 2\n", Err("t.yaml:")),
        ("a marker in a text", "a: |\n  ---\n  x\n", Ok(vec![json!({"a": "---\nx\n"})])),
        ("a tab as indentation", "a:\n\tb: 1\n", Err("t.yaml:2:")),
        ("a tab behind a colon", "a:\t1\n", Ok(vec![json!({"a": 1})])),
        ("NUL", "a: \0\n", Err("t.yaml:1:")),
        ("NUL in quotes", "a: \"x\0y\"\n", Err("t.yaml:1:")),
        ("an escaped NUL", "a: \"x\\0y\"\n", Ok(vec![json!({"a": "x\0y"})])),
        ("a bell", "a: \u{7}\n", Err("t.yaml:1:")),
        ("a key twice", "a: 1\nb: 2\na: 3\n", Err("t.yaml:3:1: the key `a` stands here twice")),
        ("a key twice in another way", "a: 1\n\"a\": 2\n", Err("t.yaml:2:1: the key `a` stands here twice")),
        ("a list as key", "? [a]\n: b\n", Err("t.yaml:1:3: a key must be a single value")),
        ("an alias of nothing", "a: *b\n", Err("t.yaml:1:")),
    ];
    for (name, text, expected) in cases {
        match (read_as(text), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(&found, expected, "{name}"),
            (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{name}: {found}"),
            (found, expected) => panic!("{name}: {found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn the_work_that_a_text_makes_is_bounded_whatever_it_says() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for n in 1..30 {
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(",")));
    }
    let mut merges = String::from("m0: &m0 {k: v}\n");
    for n in 1..200 {
        merges.push_str(&format!("m{n}: &m{n} {{<<: [*m{0}, *m{0}, *m{0}], k{n}: v}}\n", n - 1));
    }
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(40_000), "*a,".repeat(40_000));
    let anchors = "- &x [&y a]\n".repeat(60_000);
    for (name, text) in [("bomb", bomb), ("merges", merges), ("wide", wide), ("anchors", anchors)] {
        let (nodes, aliased, fault) = work_of(&text);
        assert!(nodes <= YAML_NODES, "{name}: {nodes} nodes");
        // What is refused is counted before it is copied.
        let copied = aliased.min(YAML_ALIAS_NODES);
        assert!(
            fault.is_some() && nodes + copied < 400_000,
            "{name}: {nodes} nodes, {aliased} aliased, {fault:?}"
        );
    }
    let values = "- x\n".repeat(YAML_NODES);
    let (nodes, _, fault) = work_of(&values);
    assert_eq!(nodes, YAML_NODES + 1, "read until the bound, and no further");
    assert!(fault.is_some_and(|fault| fault.contains("split it into several")));
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[expect(dead_code, reason = "only read")]
    n: u8,
}

#[test]
fn a_hundred_thousand_faults_are_as_many_as_fit_on_a_screen() {
    let mut faults = Faults::default();
    let text = "n: x\nm: 1\n---\n".repeat(50_000);
    let documents = parse_documents("t.yaml", &text).unwrap();
    assert_eq!(documents.len(), 50_000);
    for document in &documents {
        read::<Row>("t.yaml", "", document, &mut faults);
    }
    assert_eq!(faults.len(), FAULTS);
    assert!(faults.to_string().ends_with("only the first 200 faults are listed"));
}
