//! What a hostile template may cost.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{GoTemplate, RenderError, Renderer, lint};
use crate::clock::worked;
use crate::limits::{RENDERED_BYTES, TEMPLATE_STEPS};

#[test]
fn hostile_templates_are_refused_within_bounds() {
    let data = json!({"list": (0..1000).collect::<Vec<_>>(), "text": "a".repeat(60_000)});
    let times = |text: &str, count: usize| text.repeat(count);
    let halves = (0..60).map(|n| {
        let next = n + 1;
        format!(
            "{{{{define \"t{n}\"}}}}{{{{template \"t{next}\" .}}}}{{{{template \"t{next}\" .}}}}{{{{end}}}}"
        )
    });
    let halves = halves.collect::<String>() + "{{define \"t60\"}}{{end}}{{template \"t0\" .}}";
    for (name, source) in [
        ("endless loop", "{{range 1000000000}}{{end}}".to_owned()),
        ("endless loop by value", "{{range (int64 \"9223372036854775807\")}}{{end}}".to_owned()),
        ("nested loops", "{{range 100000}}{{range 100000}}{{end}}{{end}}".to_owned()),
        ("a list in a list", times("{{range .list}}", 9) + &times("{{end}}", 9)),
        ("a gigabyte of text", "{{range 90000}}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{{end}}".to_owned()),
        ("a gigabyte repeated", "{{repeat 1000000000 \"a\"}}".to_owned()),
        ("a gigabyte repeated of nothing", "{{range 2000000}}{{repeat 1000000000 \"\"}}{{end}}".to_owned()),
        ("a gigabyte indented", "{{indent 1000000 .text}}".to_owned()),
        ("a gigabyte indented line by line", "{{indent 9000 (repeat 60000 \"\\n\")}}".to_owned()),
        ("a gigabyte replaced", "{{replace \"a\" .text .text}}".to_owned()),
        ("a gigabyte joined", "{{join .text .list}}".to_owned()),
        ("a gigabyte wrapped", "{{wrapWith 1 .text .text}}".to_owned()),
        ("a gigabyte by expression", "{{regexReplaceAll \"a\" .text .text}}".to_owned()),
        ("made and thrown away", "{{range 1000000}}{{$x := repeat 200000 \"a\"}}{{end}}".to_owned()),
        ("numbers in a row", "{{until 2000000000}}".to_owned()),
        ("numbers in a row to a text", "{{seq 2000000000}}".to_owned()),
        ("numbers in steps", "{{untilStep 0 9223372036854775807 1}}".to_owned()),
        ("halves of halves", halves),
        ("recursion", "{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}".to_owned()),
        ("doubling", format!("{{{{$x := \"aaaaaaaa\"}}}}{}", times("{{$x = print $x $x}}", 60))),
        ("growing escapes", format!("{{{{$x := \"<<<<\"}}}}{}", times("{{$x = html (print $x $x)}}", 40))),
        ("shared lists printed", format!("{{{{$x := list 1}}}}{}{{{{$x}}}}", times("{{$x = list $x $x}}", 60))),
        ("shared lists as JSON", format!("{{{{$x := list}}}}{}{{{{toJson $x}}}}", times("{{$x = list $x $x}}", 60))),
        ("shared lists as YAML", format!("{{{{$x := list}}}}{}{{{{toYaml $x}}}}", times("{{$x = list $x $x}}", 60))),
        ("shared lists copied", format!("{{{{$x := list}}}}{}{{{{deepCopy $x}}}}", times("{{$x = list $x $x}}", 60))),
        (
            "shared lists compared",
            format!("{{{{$x := list}}}}{{{{$y := list}}}}{}{{{{deepEqual $x $y}}}}", times("{{$x = list $x $x}}{{$y = list $y $y}}", 60)),
        ),
        ("a map in itself", "{{$d := dict}}{{$_ := set $d \"a\" $d}}{{$d}}".to_owned()),
        ("a map in itself by printf", "{{$d := dict}}{{$_ := set $d \"a\" $d}}{{printf \"%d\" $d}}".to_owned()),
        ("a map in itself as JSON", "{{$d := dict}}{{$_ := set $d \"a\" $d}}{{toPrettyJson $d}}".to_owned()),
        ("a map merged into itself", "{{$d := dict \"b\" 1}}{{$_ := set $d \"a\" $d}}{{$e := deepCopy (merge (dict \"a\" $d) (dict \"a\" $d))}}".to_owned()),
        ("deep values", "{{$x := list}}{{range until 100000}}{{$x = list $x}}{{end}}{{$x}}".to_owned()),
        ("width", "{{printf \"%1000000000d\" 1}}".to_owned()),
        ("precision", "{{printf \"%.1000000000f\" 1.0}}".to_owned()),
        ("width by value", "{{printf \"%*d\" 999999999 1}}".to_owned()),
        ("width by items", "{{range 1000}}{{$x := printf \"%999d\" $.list}}{{end}}".to_owned()),
        ("an argument again and again", format!("{{{{printf \"{}\" .text}}}}", times("%[1]s", 10_000))),
        ("a large expression", "{{regexMatch \"(((a{99}){99}){99}){99}\" .text}}".to_owned()),
        ("a long expression", format!("{{{{regexMatch \"{}\" .text}}}}", times("a?", 5_000))),
        ("backtracking again and again", "{{range 100000}}{{$x := regexMatch \"(a*)*b\" $.text}}{{end}}".to_owned()),
        ("a deep expression", format!("{{{{regexMatch \"{}a{}\" .text}}}}", times("(", 400), times(")", 400))),
        ("deep JSON", "{{fromJson (print (repeat 100000 \"[\") 1)}}".to_owned()),
        ("deep YAML", "{{fromYaml (repeat 100000 \"[\")}}".to_owned()),
        ("digests", "{{range 1000000}}{{$x := sha512sum $.text}}{{end}}".to_owned()),
        ("sorting", "{{range 1000000}}{{$x := sortAlpha $.list}}{{end}}".to_owned()),
        ("finding", "{{range 1000000}}{{$x := uniq $.list}}{{end}}".to_owned()),
        ("layouts", "{{range 1000000}}{{$x := date $.text 0}}{{end}}".to_owned()),
        ("deep blocks", times("{{if true}}", 5_000) + &times("{{end}}", 5_000)),
        ("deep else if", times("{{if false}}{{else}}", 5_000) + &times("{{end}}", 5_000)),
        ("parentheses", format!("{{{{{}1{}}}}}", times("(", 50_000), times(")", 50_000))),
        ("a size", times("a", 1 << 20)),
    ] {
        let begun = worked();
        let (result, steps) = GoTemplate::default().render_counting(&source, &data);
        assert!(result.is_err(), "{name}");
        assert!(steps <= TEMPLATE_STEPS, "{name}: {steps} steps");
        // A step is worth about as much everywhere: unoptimised and beside other tests, all of them take less than this.
        assert!(worked() - begun < Duration::from_secs(3), "{name}: {steps} steps in {:?}", worked() - begun);
        println!("{name}: {steps} steps, {:?}", worked() - begun);
    }
}

#[test]
fn what_is_long_but_bounded_is_rendered() {
    let data = json!({"list": (0..1000).collect::<Vec<_>>()});
    let long = [
        "{{range .list}}{{range until 20}}a{{end}}{{end}}".to_owned(),
        format!("{{{{repeat {RENDERED_BYTES} \"a\"}}}}"),
        format!("{{{{1{}}}}}", " | add 1".repeat(5_000)),
        "{{define \"r\"}}{{if .}}{{template \"r\" (rest .)}}{{end}}{{end}}{{template \"r\" (until 40)}}"
            .to_owned(),
        "{{$x := list}}{{range until 60}}{{$x = list $x}}{{end}}{{$x}}".to_owned(),
    ];
    for source in long {
        let result = GoTemplate::default().render(&source, &data);
        assert!(result.is_ok(), "{}: {result:?}", &source[..40.min(source.len())]);
    }
}

#[test]
fn what_costs_too_much_says_so_and_where() {
    let render = |source: &str| GoTemplate::default().render(source, &Value::Null).unwrap_err();
    assert!(matches!(
        render("a\n{{range 1000000000}}{{end}}"),
        RenderError::WorksTooMuch { line: 2, limit: TEMPLATE_STEPS, .. }
    ));
    assert!(matches!(
        render("a\n b {{repeat 300000 \"a\"}}"),
        RenderError::PrintsTooMuch { line: 2, column: 6, limit: RENDERED_BYTES }
    ));
}

/// Templates made of what templates are made of.
const PIECES: &str = "(\\{\\{|\\}\\}|\\{\\{- | -\\}\\}|if |else|end|range |with |define \"a\"|template \"a\"|break|\\.a|\\.| |\"|`|\\$x|:=|=|\\||\\(|\\)|é|-|/\\*|\\*/|\n|printf \"%d%v\"|index |dict |list |set |1|-2|nil|toJson |merge |regexFind |\"\\[a\"|date |substr |trunc |','){0,40}";

proptest! {
    #[test]
    fn any_template_is_rendered_or_refused_without_a_panic_and_always_alike(source in PIECES, text in "\\PC{0,12}", number in any::<i64>()) {
        let data = json!({"a": {"a": text, "b": number}, "b": [number, text]});
        let renderer = GoTemplate::default();
        let first = renderer.render_counting(&source, &data);
        prop_assert_eq!(&first, &renderer.render_counting(&source, &data));
        // What lint refuses is not rendered.
        prop_assert!(lint(&source).is_ok() || first.0.is_err());
    }

    #[test]
    fn any_function_takes_any_values_without_a_panic(
        at in 0usize..1000,
        values in proptest::collection::vec(prop_oneof![
            Just(".text"), Just(".number"), Just(".list"), Just(".map"), Just("nil"), Just("1.5"), Just("-1"), Just("3"),
            Just("\"\""), Just("\"[\""), Just("(list)"), Just("(dict)"), Just("true"), Just("\"1h\""), Just("9223372036854775807"),
        ], 0..5),
        text in "\\PC{0,12}",
        number in any::<i64>(),
    ) {
        let names: Vec<&str> = super::functions::names().collect();
        let name = names[at % names.len()];
        let data = json!({"text": text, "number": number, "list": [text, number, null], "map": {"a": text}});
        let _ = GoTemplate { now: Some(jiff::Timestamp::UNIX_EPOCH) }.render(&format!("{{{{ {name} {} }}}}", values.join(" ")), &data);
    }
}
