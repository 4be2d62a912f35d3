//! What templates make, held against Go's text/template with Sprig.
//!
//! `templates/*.yaml` is the table: a template, and what it prints (`want`) or that it fails (`fails`, part of our words). Where we differ
//! from Go on purpose, `go` (or `go_fails`) says what Go does and `because` why we do not. With `BOOTCODE_REAL_PEERS=1` the whole table
//! goes through real Go and Sprig (Debian's golang-go and golang-github-masterminds-sprig-dev), which must agree with it.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use bootcode_core::template::{GoTemplate, Renderer as _};
use serde::Deserialize;
use serde_json::{Value, json};

/// What `now` gives in the table.
const NOW: &str = "2026-03-04T15:06:07Z";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    template: String,
    want: Option<String>,
    fails: Option<String>,
    go: Option<String>,
    #[serde(default)]
    go_fails: bool,
    because: Option<String>,
    /// The first Go that has it.
    since: Option<String>,
    /// Go's own libraries have no such function.
    #[serde(default)]
    only_here: bool,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates")
}

fn data() -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join("data.json")).unwrap()).unwrap()
}

/// Every case, with its file's name.
fn cases() -> Vec<(String, Case)> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            let table: Table =
                serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            cases.extend(table.cases.into_iter().map(|case| (name.clone(), case)));
        }
    }
    cases
}

#[test]
fn templates_make_what_the_table_says() {
    let renderer = GoTemplate { now: Some(NOW.parse().unwrap()) };
    let data = data();
    let mut wrong = Vec::new();
    for (file, case) in cases() {
        let made = renderer.render(&case.template, &data);
        let right = match (&made, &case.want, &case.fails) {
            (Ok(text), Some(want), None) => text == want,
            (Err(error), None, Some(words)) => error.to_string().contains(words.as_str()),
            (_, Some(_), Some(_)) | (_, None, None) => panic!("{}: either `want` or `fails`", case.template),
            _ => false,
        };
        if !right {
            let wanted = case.want.as_deref().or(case.fails.as_deref());
            wrong.push(format!("{file}: {}\n    wanted {wanted:?}\n    made   {made:?}", case.template));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_difference_from_go_has_its_reason() {
    for (file, case) in cases() {
        let differs = case.go.is_some() || case.go_fails;
        assert_eq!(differs, case.because.is_some(), "{file}: {}", case.template);
        assert!(!(case.go_fails && case.fails.is_some()), "{file}: this is no difference: {}", case.template);
    }
}

#[test]
fn the_table_uses_every_function_and_is_large_enough() {
    let cases = cases();
    assert!(cases.len() >= 250, "{} cases", cases.len());
    let templates: BTreeSet<&str> = cases
        .iter()
        .flat_map(|(_, case)| case.template.split(|c: char| !(c.is_alphanumeric() || c == '_')))
        .collect();
    let unused: Vec<_> = functions().filter(|name| !templates.contains(name.as_str())).collect();
    assert!(unused.is_empty(), "no case calls {unused:?}");
}

/// The functions that the documentation lists; a test of the crate holds that list against the registry.
fn functions() -> impl Iterator<Item = String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/TEMPLATES.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, listed) = page.split_once("\n## Functions\n").unwrap();
    let lines: Vec<String> =
        listed.lines().filter(|line| line.starts_with("- `")).map(str::to_owned).collect();
    lines.into_iter().flat_map(|line| {
        let usages: Vec<String> = line.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        usages.into_iter().map(|usage| usage.split(' ').next().unwrap().to_owned())
    })
}

#[test]
fn go_and_sprig_agree_with_the_table() {
    if std::env::var_os("BOOTCODE_REAL_PEERS").is_none_or(|value| value != "1") {
        eprintln!("not run: BOOTCODE_REAL_PEERS is not 1");
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let go = |arguments: &[&str]| {
        let mut command = Command::new("go");
        // Debian's packages of Go's libraries stand here.
        command
            .args(arguments)
            .env("GO111MODULE", "off")
            .env("GOPATH", "/usr/share/gocode")
            .env("GOFLAGS", "");
        command.env("GOCACHE", cache.path()).env("HOME", cache.path());
        command
    };
    let version = go(&["env", "GOVERSION"]).output().expect("golang-go, an independent text/template").stdout;
    let version = String::from_utf8(version).unwrap();
    let minor = |text: &str| text.trim().split('.').nth(1).unwrap().parse::<u32>().unwrap();
    let cases: Vec<_> = cases()
        .into_iter()
        .filter(|(_, case)| !case.only_here)
        .filter(|(_, case)| case.since.as_deref().is_none_or(|since| minor(since) <= minor(&version)))
        .collect();
    assert!(cases.len() >= 250, "{} cases", cases.len());
    let data = data();
    let input: Vec<Value> =
        cases.iter().map(|(_, case)| json!({"template": case.template, "data": data})).collect();
    let mut peer = go(&["run", "main.go", NOW])
        .current_dir(folder().join("peer"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    peer.stdin.take().unwrap().write_all(&serde_json::to_vec(&input).unwrap()).unwrap();
    let output = peer.wait_with_output().unwrap();
    assert!(output.status.success());
    let outcomes: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcomes.len(), cases.len());
    let mut wrong = Vec::new();
    for ((file, case), outcome) in cases.iter().zip(&outcomes) {
        let failed = outcome["failed"] != "";
        let fails = case.go_fails || (case.fails.is_some() && case.go.is_none());
        let wanted = case.go.as_deref().or(case.want.as_deref()).unwrap_or_default();
        if failed != fails || (!failed && outcome["text"] != wanted) {
            wrong.push(format!("{file}: {}\n    wanted {wanted:?}\n    Go     {outcome}", case.template));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    println!("{} cases agree with {}", cases.len(), version.trim());
}
