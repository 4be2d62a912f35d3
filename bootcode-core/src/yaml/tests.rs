//! Reading: hostile input, scalars, places, and a comparison with another reader.

use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::clock::worked;

fn json_of(text: &str) -> Vec<Value> {
    parse_documents("t.yaml", text).unwrap().iter().map(Node::to_json).collect()
}

fn refusal(text: &str) -> String {
    parse_documents("t.yaml", text).unwrap_err().to_string()
}

#[test]
fn several_documents_have_their_places() {
    let nodes = parse_documents("t.yaml", "a: 1\n---\n---\n# nothing\n---\nb:\n  - c: x\n").unwrap();
    assert_eq!(nodes.len(), 2);
    let place = nodes[1].nearest("b[0].c").position;
    assert_eq!((place.line, place.column), (7, 8));
    assert_eq!(nodes[1].nearest("b[0].nothing").position.line, 7);
}

#[test]
fn unquoted_scalars_mean_what_the_core_schema_says() {
    let text = "[52:54:00:00:00:01, 1:30, yes, off, true, ~, 0x10, 0o17, 010, 0.1, 1e3, .5, -x, 1.2.3.4, '1', !!str 1, .nan, 1_000]";
    assert_eq!(
        json_of(text)[0],
        json!([
            "52:54:00:00:00:01",
            "1:30",
            "yes",
            "off",
            true,
            null,
            16,
            15,
            10,
            0.1,
            1000.0,
            0.5,
            "-x",
            "1.2.3.4",
            "1",
            "1",
            ".nan",
            "1_000"
        ])
    );
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Shape {
    text: String,
    #[serde(default)]
    flag: bool,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    list: Vec<Shape>,
}

#[test]
fn the_type_decides_what_a_scalar_means() {
    let shape: Shape = from_str("t.yaml", "{text: 0.10, flag: true, port: 0x50, list:}").unwrap();
    assert_eq!(shape, Shape { text: "0.10".into(), flag: true, port: Some(80), list: vec![] });
}

#[test]
fn every_fault_is_listed_with_its_place() {
    let text = "txet: a\nflag: yes\nport: 70000\nlist:\n  - {text: [a]}\n  - {flag: true}\n  - {text: b, port: x, more: 1}\n";
    let faults = from_str::<Shape>("t.yaml", text).unwrap_err();
    insta::assert_snapshot!(faults, @r"
    t.yaml:1:1: unknown key `txet` (did you mean `text`?)
    t.yaml:2:7: flag: expected true or false, found `yes`
    t.yaml:3:7: port: expected a whole number from 0 to 65535, found `70000`
    t.yaml:5:12: list[0].text: expected text, found a list
    t.yaml:6:5: list[1]: the key `text` is missing
    t.yaml:7:21: list[2].port: expected a whole number, found `x`
    t.yaml:7:24: list[2]: unknown key `more`; known are text, flag, port, list
    ");
}

#[test]
fn hostile_text_is_refused_at_once() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for n in 1..12 {
        let previous = format!("*a{}", n - 1);
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![previous; 9].join(",")));
    }
    let quoted = format!("\"{}", "a".repeat(1 << 20));
    let cases: [(&str, String, &str); 8] = [
        ("alias bomb", bomb, "aliases repeat more than"),
        ("deep flow", "[".repeat(100_000), "t.yaml:1:"),
        ("deep mappings", "{a: ".repeat(50_000), "t.yaml:1:"),
        ("deep block", (0..5_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect(), "t.yaml:"),
        ("self", "a: &a [*a]".into(), "an alias inside the value that it names"),
        ("endless text", quoted, "t.yaml:"),
        ("duplicate", "a: {b: 1, c: 2, b: 3}".into(), "t.yaml:1:17: the key `b` stands here twice"),
        ("tag", "a: !!python/object:os.system [id]".into(), "tags have no meaning here"),
    ];
    for (name, text, reason) in cases {
        let begun = worked();
        let refusal = refusal(&text);
        assert!(refusal.contains(reason), "{name}: {refusal}");
        // Milliseconds in truth; the bound leaves room for a busy machine.
        assert!(worked() - begun < Duration::from_secs(2), "{name}: {:?}", worked() - begun);
    }
    let begun = worked();
    assert!(refusal(&"a".repeat(64 << 20)).contains("split it into several"));
    assert!(worked() - begun < Duration::from_secs(1));
    assert!(
        utf8("t.yaml", b"a: b\nc: \xff")
            .unwrap_err()
            .to_string()
            .starts_with("t.yaml:2:4: the file is no UTF-8")
    );
}

#[test]
fn a_great_many_faults_are_listed_within_bounds() {
    let items = "  - {text: a, port: x}\n".repeat(4000);
    let begun = worked();
    let faults = from_str::<Shape>("t.yaml", &format!("text: a\nlist:\n{items}")).unwrap_err();
    assert_eq!(faults.len(), crate::limits::FAULTS);
    assert!(faults.to_string().ends_with("only the first 200 faults are listed"));
    let items = "  - {text: a}\n".repeat(5000);
    let long = from_str::<Shape>("t.yaml", &format!("text: a\nlist:\n{items}")).unwrap_err();
    assert_eq!(long.to_string(), "t.yaml:3:3: list: a list has at most 4096 entries");
    assert!(worked() - begun < Duration::from_secs(5), "{:?}", worked() - begun);
}

#[test]
fn merge_keys_and_anchors_work_within_a_document() {
    let text = "base: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\n";
    assert_eq!(json_of(text)[0]["other"], json!({"y": 3, "x": 1}));
    assert!(refusal("a: &a 1\n---\nb: *a\n").starts_with("t.yaml:3:"));
}

#[test]
fn what_is_written_reads_back() {
    let value = json!({
        "mac": "52:54:00:00:00:01", "no": "no", "n": "12", "v": 0.5, "empty": {}, "list": [], "nothing": null,
        "text": "a\nb\n", "tail": "a\n\n", "space": " x ", "hash": "a # b", "colon": "a: b", "template": "{{.device_1}}",
        "nested": [{"a": [1, true, "true"]}, "~"]
    });
    let text = to_string(&value).unwrap();
    assert_eq!(json_of(&text), [value], "{text}");
}

/// JSON values of the kinds that documents hold.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        "[a-z:.0-9]{1,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,6}", inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,200}") {
        let _ = parse_documents("t.yaml", &text);
    }

    #[test]
    fn text_that_looks_like_yaml_does_not_panic(text in "[-a{}\\[\\]:,&*!|>'\"# \n]{0,120}") {
        if let Ok(nodes) = parse_documents("t.yaml", &text) {
            for node in nodes {
                let _ = node.to_json();
                let _ = read::<Shape>("t.yaml", "", &node, &mut Faults::default());
            }
        }
    }

    #[test]
    fn ordinary_documents_read_as_another_reader_reads_them(value in values()) {
        let text = serde_yaml::to_string(&value).unwrap();
        let theirs: Value = serde_yaml::from_str(&text).unwrap();
        let ours = parse_documents("t.yaml", &text).unwrap();
        let ours = ours.first().map_or(Value::Null, Node::to_json);
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn everything_written_reads_back(value in values()) {
        let text = to_string(&value).unwrap();
        let ours = parse_documents("t.yaml", &text).unwrap();
        prop_assert_eq!(ours.first().map_or(Value::Null, Node::to_json), value, "{}", text);
    }
}
