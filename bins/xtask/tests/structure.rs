//! The plan of the house, checked: who may depend on whom, how long files are, what things are called.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The libraries that know protocols. They depend on core and never on each other.
const PROTOCOLS: [&str; 5] =
    ["bootcode-dhcp", "bootcode-tftp", "bootcode-metadata", "bootcode-worker", "bootcode-api"];

/// What only programs know: flags, log formats, how errors are drawn.
const OF_PROGRAMS: [&str; 5] = ["clap", "tracing-subscriber", "miette", "comfy-table", "notify"];

/// Runtimes, sockets and HTTP: nothing that decides has them in its tree.
const OUTSIDE_WORLD: [&str; 26] = [
    "async-io",
    "async-std",
    "axum",
    "axum-core",
    "bollard",
    "curl",
    "dhcproto",
    "h2",
    "http",
    "http-body",
    "hyper",
    "hyper-util",
    "libsqlite3-sys",
    "mio",
    "polling",
    "quinn-udp",
    "reqwest",
    "rusqlite",
    "rustls",
    "signal-hook",
    "smol",
    "socket2",
    "tokio",
    "tokio-util",
    "tower",
    "ureq",
];

/// Lines of the longest file that one person still holds in mind.
const FILE_LINES: usize = 500;

#[test]
fn core_without_features_has_no_runtime_socket_or_http_crate() {
    let deciding = tree(&["--no-default-features"]);
    assert!(deciding.contains("bootcode-core") && deciding.contains("serde"), "{deciding:?}");
    let found: Vec<_> = OUTSIDE_WORLD.iter().filter(|name| deciding.contains(**name)).collect();
    assert!(
        found.is_empty(),
        "bootcode-core --no-default-features depends on {found:?}: put it behind a feature"
    );
    assert!(tree(&["--features", "engine"]).contains("tokio"), "the check would not see a runtime");
}

#[test]
fn protocols_depend_on_core_and_never_on_each_other() {
    let members = members();
    let names: BTreeSet<&str> = members.keys().map(String::as_str).collect();
    let ours = |package: &str| -> BTreeSet<&str> {
        let dependencies =
            members.get(package).unwrap_or_else(|| panic!("{package} is no member of the workspace"));
        dependencies.iter().map(String::as_str).filter(|name| names.contains(name)).collect()
    };
    // Development dependencies count too: a crate's tests show how it is used alone.
    for package in PROTOCOLS {
        assert_eq!(
            ours(package),
            BTreeSet::from(["bootcode-core"]),
            "the workspace's crates that {package} uses"
        );
    }
    assert_eq!(ours("bootcode-core"), BTreeSet::new(), "core knows none of the others");
}

#[test]
fn only_programs_know_flags_and_how_things_look() {
    let members = members();
    for package in PROTOCOLS.iter().chain(&["bootcode-core"]) {
        let found: Vec<_> = OF_PROGRAMS.iter().filter(|name| members[*package].contains(**name)).collect();
        assert!(found.is_empty(), "{package} depends on {found:?}: that belongs into bins/");
    }
}

#[test]
fn no_source_file_is_longer_than_one_can_hold_in_mind() {
    let mut seen = 0;
    for (path, text) in
        texts().into_iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "rs"))
    {
        let lines = text.lines().count();
        assert!(
            lines <= FILE_LINES,
            "{}: {lines} lines, at most {FILE_LINES}: split it by phase",
            path.display()
        );
        seen += 1;
    }
    assert!(seen > 100, "only {seen} files were looked at");
}

#[test]
fn nothing_is_named_after_not_having_a_name() {
    let vague = ["util", "utils", "helper", "helpers", "common", "misc", "manager"];
    let kinds = ["struct", "enum", "trait", "type", "mod"];
    for (path, text) in texts() {
        for part in path.iter().filter_map(|part| Path::new(part).file_stem()?.to_str()) {
            // `tests/common` is Cargo's own name for what integration tests share.
            let of_cargo = part == "common" && path.to_string_lossy().contains("/tests/common/");
            assert!(of_cargo || !vague.contains(&part), "{}: name it after what it holds", path.display());
        }
        if path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let words: Vec<_> =
            text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
        for pair in words.windows(2).filter(|pair| kinds.contains(&pair[0])) {
            let is_vague =
                ["Manager", "Helper", "Util", "Common"].iter().any(|ending| pair[1].ends_with(ending));
            assert!(!is_vague, "{}: `{}`: name it after what it does", path.display(), pair[1]);
        }
    }
}

#[test]
fn nothing_names_a_developer_s_machine_or_a_mirror() {
    // Put together here, or this file would name them itself.
    let mut traces: Vec<String> =
        ["home", "Users", "work"].iter().map(|folder| format!("/{folder}/")).collect();
    traces.extend(
        ["deb.debian", "static.crates", "index.crates", "files.pythonhosted"].map(|host| format!("{host}.")),
    );
    let root = root().display().to_string();
    if root.matches('/').count() > 1 {
        traces.push(root);
    }
    for (path, text) in texts() {
        for (line, content) in text.lines().enumerate() {
            for trace in &traces {
                assert!(
                    !content.contains(trace),
                    "{}:{}: `{trace}` is of one machine",
                    path.display(),
                    line + 1
                );
            }
        }
    }
}

fn root() -> PathBuf {
    // Cargo says where the package is when it runs a test; that may not be where it was compiled.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("../..").canonicalize().expect("the workspace's folder")
}

fn cargo(arguments: &[&str]) -> String {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).current_dir(root()).args(arguments).output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// The names of all crates that core is built from.
fn tree(features: &[&str]) -> BTreeSet<String> {
    let question =
        ["tree", "--package", "bootcode-core", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let text = cargo(&[&question, features].concat());
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The workspace's packages with the names of what they depend on, for whatever purpose.
fn members() -> BTreeMap<String, BTreeSet<String>> {
    let text = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo metadata writes JSON");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies").iter().map(name);
            (name(package), dependencies.collect())
        })
        .collect()
}

/// Every text file of the repository by its path below the root, but for what others made.
fn texts() -> Vec<(PathBuf, String)> {
    let root = root();
    let (mut folders, mut texts) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry of the repository").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if ["target", ".git", "Cargo.lock"].contains(&name.as_str()) || name.starts_with("LICENSE") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let below = path.strip_prefix(&root).unwrap_or(&path).to_owned();
                texts.push((below, text));
            }
        }
    }
    texts
}
