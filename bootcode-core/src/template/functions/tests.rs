use std::collections::BTreeSet;

use super::{GROUPS, find, forbidden, names};

/// The list of functions as docs/TEMPLATES.md has it.
fn listed() -> String {
    let mut out = String::new();
    for (group, functions) in GROUPS {
        out.push_str(&format!("### {group}\n\n"));
        for function in functions {
            out.push_str(&format!("- `{}`\n", function.usage));
        }
        out.push('\n');
    }
    out
}

#[test]
fn the_documentation_lists_every_function_and_no_other() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/TEMPLATES.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(&listed()), "docs/TEMPLATES.md, section Functions, should be:\n{}", listed());
}

#[test]
fn every_function_has_one_name_of_its_own() {
    let all: Vec<&str> =
        GROUPS.iter().flat_map(|(_, functions)| functions.iter()).map(|f| f.name()).collect();
    let unique: BTreeSet<&str> = all.iter().copied().collect();
    assert_eq!(all.len(), unique.len());
    assert_eq!(names().count(), unique.len());
    for name in forbidden::names() {
        assert!(find(name).is_none() && forbidden::reason(name).is_some(), "{name}");
    }
}

#[test]
fn a_usage_says_how_many_values_a_function_takes() {
    let counts = |name: &str| find(name).unwrap().counts();
    assert_eq!(counts("upper"), (1, 1));
    assert_eq!(counts("now"), (0, 0));
    assert_eq!(counts("slice"), (1, 3));
    assert_eq!(counts("eq").0, 1);
    assert_eq!(counts("dig"), (2, usize::MAX));
}
