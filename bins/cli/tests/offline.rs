//! The command without a server: documents, and servers that are not there.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

const NETWORK: &str =
    "apiVersion: bootcode/v1\nkind: Network\nmetadata: {name: lab}\nspec: {cidr: 10.0.0.0/24}\n";
const MACHINE: &str = "apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1}
spec:
  interfaces:
    - {id: nic0, mac: 52:54:00:00:00:01, network: lab, ip: 10.0.0.11}
";

fn bootcode(directory: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootcode"));
    command.current_dir(directory).args(arguments).env_remove("BOOTCODE_SERVER");
    let pipes = [Stdio::piped(), Stdio::piped(), Stdio::piped()];
    let [input_pipe, output, errors] = pipes;
    let mut child = command.stdin(input_pipe).stdout(output).stderr(errors).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Validates files in a directory: the exit code, and what was said.
fn validate(files: &[(&str, &[u8])]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("m")).unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join("m").join(name), bytes).unwrap();
    }
    let output = bootcode(dir.path(), &["validate", "-f", "m"], b"");
    (output.status.code(), format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output)))
}

#[test]
fn the_schema_is_json_that_editors_take() {
    let output = Command::new(env!("CARGO_BIN_EXE_bootcode")).arg("schema").output().unwrap();
    assert!(output.status.success());
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["apiVersion"]["const"], "bootcode/v1");
}

#[test]
fn every_fault_has_file_line_and_column() {
    let edit = |from: &str, to: &str| MACHINE.replace(from, to).into_bytes();
    let elsewhere = edit("10.0.0.11", "10.0.1.11");
    let same_mac = [MACHINE, &MACHINE.replace("node-1", "node-2").replace("0.11", "0.12")].join("---\n");
    let same_name = [MACHINE, &MACHINE.replace(":01", ":02").replace("0.11", "0.12")].join("---\n");
    for (what, machine, expected) in [
        ("an unknown key", edit("network:", "netwrok:"), &["m/b.yaml:6:", "did you mean `network`"][..]),
        (
            "a bad MAC",
            edit("52:54:00:00:00:01", "52:54:00:00:00:0g"),
            &["m/b.yaml:6:23", "52:54:00:00:00:0g"],
        ),
        ("an address elsewhere", elsewhere, &["m/b.yaml:6:", "10.0.1.11", "10.0.0.0/24"]),
        ("no such network", edit("network: lab", "network: lba"), &["m/b.yaml:6:", "lba"]),
        (
            "no such kind",
            edit("kind: Hardware", "kind: Hardwear"),
            &["m/b.yaml:2:7", "did you mean `Hardware`"],
        ),
        ("a MAC twice", same_mac.into_bytes(), &["m/b.yaml:13:", "52:54:00:00:00:01", "node-1"]),
        ("a name twice", same_name.into_bytes(), &["m/b.yaml:10:", "declared twice", "m/b.yaml:1"]),
        ("no YAML", b"a: [".to_vec(), &["m/b.yaml:1:", "no valid YAML"]),
        ("no text", b"a: 1\n  \xff".to_vec(), &["m/b.yaml:2:3", "UTF-8"]),
    ] {
        let (code, said) = validate(&[("a.yaml", NETWORK.as_bytes()), ("b.yaml", &machine)]);
        assert_eq!(code, Some(65), "{what}: {said}");
        for part in expected {
            assert!(said.contains(part), "{what}: `{part}` is not in: {said}");
        }
    }
}

#[test]
fn a_secret_where_none_may_stand_is_told_with_a_remedy() {
    const TEMPLATE: &str = "apiVersion: bootcode/v1
kind: Template
metadata: {name: t}
spec:
  globalTimeout: 1h
  actions:
    - {name: a, image: x, timeout: 1m, command: [sh]}
";
    let legacy = TEMPLATE.split("  globalTimeout").next().unwrap().to_owned()
        + "  data: |\n    version: '0.1'\n    name: t\n    global_timeout: 60\n    tasks:\n    - name: t\n      worker: '{{.device_1}}'\n      \
           actions:\n      - {name: a, image: {secretRef: site/token}, timeout: 9}\n";
    let workflow = "---\napiVersion: bootcode/v1\nkind: Workflow\nmetadata: {name: w}\nspec: {template: t, hardware: node-1}\n";
    let secret = "{secretRef: site/token}";
    let below = |text: &str| format!("{MACHINE}  {text}\n");
    for (what, document, place, path) in [
        ("a host name", below(&format!("hostname: {secret}")), "7:13", "spec.hostname: expected text"),
        ("a key of SSH", below(&format!("sshKeys: [{secret}]")), "7:13", "spec.sshKeys[0]: expected text"),
        ("all of them", below(&format!("sshKeys: {secret}")), "7:12", "spec.sshKeys: expected a list"),
        (
            "an install file",
            below(&format!("instance: {{install: {{ks.cfg: {secret}}}}}")),
            "7:32",
            "spec.instance.install.ks.cfg: expected text",
        ),
        (
            "all of them",
            below(&format!("instance: {{install: {secret}}}")),
            "7:35",
            "spec.instance.install.secretRef: an install file is no secret",
        ),
        (
            "a label",
            MACHINE.replace("{name: node-1}", &format!("{{name: node-1, labels: {{rack: {secret}}}}}")),
            "3:41",
            "metadata.labels.rack: expected text",
        ),
        ("an image", below(&format!("os: {secret}")), "7:8", "spec.os: unknown key `secretRef`; known are"),
        (
            "user data in Tinkerbell's form",
            "apiVersion: tinkerbell.org/v1alpha1\nkind: Hardware\nmetadata: {name: n}\nspec:\n  userData: {secretRef: a/b}\n"
                .to_owned(),
            "5:13",
            "`vendorData` of bootcode/v1",
        ),
        (
            "a flag",
            MACHINE.replace("lab,", &format!("lab, netboot: {secret},")),
            "6:65",
            "netboot: expected true",
        ),
        (
            "an image",
            TEMPLATE.replace("image: x", &format!("image: {secret}")),
            "7:24",
            "image: expected text",
        ),
        ("a word", TEMPLATE.replace("[sh]", &format!("[{secret}]")), "7:50", "command[0]: expected text"),
        (
            "an image in Tinkerbell's form",
            format!("{legacy}{workflow}---\n{MACHINE}"),
            "13:26",
            "image: expected text",
        ),
    ] {
        let (code, said) = validate(&[("a.yaml", NETWORK.as_bytes()), ("b.yaml", document.as_bytes())]);
        // One line, however wide a terminal is.
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(code, Some(65), "{what}: {said}");
        for part in [&format!("--> m/b.yaml:{place} "), path, "hash"] {
            assert!(said.contains(part), "{what}: `{part}` is not in: {said}");
        }
    }
}

#[test]
fn user_data_of_a_gigabyte_is_refused_with_its_place_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    // Blocks of a file that nobody wrote take no room on the disk.
    fs::File::create(dir.path().join("user-data")).unwrap().set_len(1 << 30).unwrap();
    fs::File::create(dir.path().join("all.yaml")).unwrap().set_len(1 << 30).unwrap();
    let long = "ä".repeat(200 << 10);
    fs::write(dir.path().join("long"), &long).unwrap();
    let remedy = "has more than 262144 bytes: put the rest into files that the machine fetches";
    // One line, however wide a terminal is.
    let said = |output: &Output| stderr(output).split_whitespace().collect::<Vec<_>>().join(" ");
    let refused = |data: &str, place: &str, column: usize| {
        fs::write(dir.path().join("m.yaml"), format!("{NETWORK}---\n{MACHINE}  {data}\n")).unwrap();
        let output = bootcode(dir.path(), &["validate", "-f", "m.yaml"], b"");
        assert_eq!(output.status.code(), Some(65), "{output:?}");
        for part in [format!("spec.{place} {remedy}"), format!("--> m.yaml:12:{column}")] {
            assert!(said(&output).contains(&part), "`{part}` is not in: {:.2000}", said(&output));
        }
    };
    for field in ["userData", "vendorData"] {
        refused(&format!("{field}: {long}"), &format!("{field}: `{field}`"), field.len() + 5);
        for file in ["user-data", "long"] {
            let place = format!("{field}.file: `{file}`");
            refused(&format!("{field}: {{file: {file}}}"), &place, field.len() + 12);
        }
    }
    let output = bootcode(dir.path(), &["validate", "-f", "all.yaml"], b"");
    assert_eq!(output.status.code(), Some(65), "{output:?}");
    assert!(stderr(&output).contains("all.yaml") && said(&output).contains("split it into several"));
}

#[test]
fn a_hundred_faults_are_listed_at_once_and_across_files() {
    let many = |from: usize| -> String {
        let one =
            |n: usize| format!("{}---\n", NETWORK.replace("lab", &format!("n{n}")).replace("cidr", "cdir"));
        (from..from + 50).map(one).collect()
    };
    let (code, said) = validate(&[("a.yaml", many(0).as_bytes()), ("b.yaml", many(50).as_bytes())]);
    assert_eq!(code, Some(65));
    assert_eq!(said.matches("unknown key `cdir`").count(), 100, "{said}");
    assert!(said.contains("m/a.yaml:4:8") && said.contains("m/b.yaml:4:8"), "{said}");
    assert!(said.ends_with("faults to mend\n"), "{said}");
}

#[test]
fn what_holds_no_documents_is_told() {
    for (what, files, code, expected) in [
        ("no file", &[][..], 66, "no .yaml or .yml file"),
        ("no document file", &[("notes.txt", &b"x"[..])][..], 66, "no .yaml or .yml file"),
        ("a hidden file", &[(".a.yaml", NETWORK.as_bytes())], 66, "no .yaml or .yml file"),
        ("an empty file", &[("a.yaml", b"")], 65, "no document"),
        ("a comment", &[("a.yaml", b"# nothing\n---\n")], 65, "no document"),
    ] {
        let (got, said) = validate(files);
        assert_eq!(got, Some(code), "{what}: {said}");
        assert!(said.contains(expected), "{what}: {said}");
    }
    let dir = tempfile::tempdir().unwrap();
    let output = bootcode(dir.path(), &["validate", "-f", "nope"], b"");
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("nope cannot be read"), "{output:?}");
}

#[test]
fn standard_input_and_several_paths_are_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("network.yaml"), NETWORK).unwrap();
    let output = bootcode(dir.path(), &["validate", "-f", "network.yaml", "-f", "-"], MACHINE.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, b"2 documents in 2 files are valid\n");
    let output = bootcode(dir.path(), &["validate", "-f", "-"], MACHINE.as_bytes());
    assert!(stderr(&output).contains("standard input:6:"), "its network is missing: {output:?}");
}

#[test]
fn a_server_that_does_not_answer_is_told_and_how_to_name_another() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "no socket").unwrap();
    for (arguments, code, expected) in [
        (&["--server", "unix:none.sock", "get", "hardware"][..], 69, "is bootcode-server running?"),
        (&["--server", "unix:file", "get", "hardware"], 69, "is bootcode-server running?"),
        (&["--server", "http://127.0.0.1:1", "get", "hardware"], 69, "is bootcode-server running?"),
        (&["--server", "nonsense", "get", "hardware"], 64, "unix:PATH"),
        (&["get", "nonsense"], 64, "use network, profile"),
        (&["frobnicate"], 64, "frobnicate"),
        (&[], 64, "Usage"),
    ] {
        let output = bootcode(dir.path(), arguments, b"");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}
