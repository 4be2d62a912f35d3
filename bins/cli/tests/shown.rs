//! What people see of their documents, at 80 columns and without colours.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

const NETWORK: &str = "apiVersion: bootcode/v1
kind: Network
metadata: {name: lab}
spec: {cidr: 192.168.99.0/24, dhcp: {mode: authoritative}}
";
const MACHINE: &str = "apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1}
spec:
  interfaces:
    - {id: nic0, mac: 52:54:00:00:00:01, network: lab, ip: 192.168.99.11, netboot: true}
  storage: {disks: [{id: a, device: /dev/vda}, {id: b, match: {size: 400GB..1TB}, keep: true}]}
";
const TEMPLATE: &str = "apiVersion: bootcode/v1
kind: Template
metadata: {name: debian}
spec:
  data: |
    version: '0.1'
    name: debian
    global_timeout: 1800
    tasks:
    - name: install
      worker: '{{.device_1}}'
      volumes: ['/dev:/dev']
      actions:
      - name: stream
        image: install-root-fs:v1
        command: [install, --to, \"{{ index .Hardware.Disks 0 }}\", 'a word in quotes']
        timeout: 600
        retries: 2
        on-interrupt: fail
        on-failure: [collect-logs]
        environment:
          IMAGE: debian-12.tar.zst
          PASSWORD: {secretRef: site/root}
      - name: check
        image: registry.example/check:v2
        writes: []
";
const SECRET: &str = "apiVersion: bootcode/v1
kind: Secret
metadata: {name: site}
spec: {keys: {root: {env: ROOT_PASSWORD}}}
";
const WORKFLOW: &str = "apiVersion: bootcode/v1
kind: Workflow
metadata: {name: install}
spec: {template: debian, hardware: node-1}
";

/// Runs the command in a directory; the exit code, and what was said on both streams.
fn bootcode(directory: &Path, line: &str, input: &[u8]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootcode"));
    command.current_dir(directory).args(line.split(' ')).env_remove("BOOTCODE_SERVER");
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(!said.contains("panicked") && !said.contains('\u{1b}'), "{line}: {said}");
    (output.status.code().unwrap(), said)
}

fn with(files: &[(&str, String)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("m")).unwrap();
    for (name, text) in files {
        fs::write(dir.path().join("m").join(name), text).unwrap();
    }
    dir
}

fn all() -> Vec<(&'static str, String)> {
    vec![("all.yaml", [NETWORK, MACHINE, TEMPLATE, SECRET, WORKFLOW].join("---\n"))]
}

#[track_caller]
fn fits(said: &str) {
    let wide: Vec<&str> = said.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "more than 80 columns: {wide:#?}");
}

#[test]
fn faults_show_their_line_and_what_was_meant() {
    let bad = MACHINE.replace(":01,", ":0g,").replace("network:", "netwrok:").replace("node-1", "Node_1");
    let template = TEMPLATE.replace("timeout: 600", "timeuot: 600").replace("fs:v1", "fs:v 1");
    let long = MACHINE
        .replace("node-1", "node-2")
        .replace("  storage", "  hostname: 12345678901234567890123456789012345678901234567890123456789012345678901234567890\n  storage")
        .replace("99.11", "98.11");
    let secret = SECRET.replace("{env: ROOT_PASSWORD}", "hunter2");
    let workflow = WORKFLOW.replace("debian", "debain");
    let text = [NETWORK, &bad, &long, &template, &secret, &workflow].map(str::to_owned);
    let dir = with(&[("all.yaml", text.join("---\n"))]);
    let (code, said) = bootcode(dir.path(), "validate -f m", b"");
    assert_eq!(code, 65, "{said}");
    assert!(!said.contains("hunter2"), "what stands in a Secret is not repeated: {said}");
    fits(&said);
    insta::assert_snapshot!(said);
}

#[test]
fn a_rendered_workflow_shows_every_action_and_no_secret() {
    let dir = with(&all());
    let (code, said) = bootcode(dir.path(), "render -f m", b"");
    assert_eq!(code, 0, "{said}");
    fits(&said);
    insta::assert_snapshot!(said);
    let (_, json) = bootcode(dir.path(), "render -f m --workflow install -o json", b"");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let action = &value[0]["spec"]["tasks"][0]["actions"][0];
    assert_eq!(action["command"][2], "/dev/vda");
    assert_eq!(action["environment"]["PASSWORD"]["secretRef"], "site/root");
}

#[test]
fn what_a_rendering_needs_is_told() {
    let whole = all().remove(0).1;
    for (what, text, line, code, parts) in [
        (
            "no Workflow",
            [NETWORK, MACHINE, TEMPLATE].join("---\n"),
            "render -f m",
            65,
            &["kind: Workflow", "template: debian, hardware: node-1"][..],
        ),
        (
            "another Workflow",
            whole.clone(),
            "render -f m --workflow other",
            65,
            &["`other`", "they have install"],
        ),
        (
            "a Template that only a server has",
            [NETWORK, MACHINE, WORKFLOW].join("---\n"),
            "render -f m",
            65,
            &["there is no Template `debian`", "no server was asked", "bootcode diff"],
        ),
        (
            "a fault in a template",
            whole.replace(".device_1", ".device_9"),
            "render -f m",
            65,
            &["all.yaml:", "device_9", "1 fault to mend"],
        ),
    ] {
        let (got, said) = bootcode(with(&[("all.yaml", text)]).path(), line, b"");
        assert_eq!(got, code, "{what}: {said}");
        for part in parts {
            assert!(said.contains(part), "{what}: `{part}` is not in: {said}");
        }
    }
}

#[test]
fn wrong_input_is_told_by_every_command_that_reads_files() {
    let dir = with(&[("notes.txt", "x".to_owned())]);
    fs::write(dir.path().join("binary.yaml"), b"\x7fELF\x02\x00\xff\xfe").unwrap();
    fs::write(dir.path().join("kind.yaml"), NETWORK.replace("Network", "Netwrok")).unwrap();
    let server = "--server unix:none.sock";
    for command in ["validate", "render", "apply", "diff"] {
        for (what, path, input, code, part) in [
            ("no such file", "none.yaml", &b""[..], 66, "none.yaml cannot be read"),
            ("no documents", "m", b"", 66, "holds no .yaml or .yml file"),
            ("no text", "binary.yaml", b"", 65, "binary.yaml:1:"),
            ("standard input that is no text", "-", b"\xff", 65, "standard input:1:1"),
        ] {
            let (got, said) = bootcode(dir.path(), &format!("{server} {command} -f {path}"), input);
            assert_eq!(got, code, "{command}, {what}: {said}");
            assert!(said.contains(part), "{command}, {what}: {said}");
        }
        // What only the documents' reader finds is found by the server, and that one is away.
        let (code, part) = match command {
            "apply" | "diff" => (69, "is bootcode-server running?"),
            _ => (65, "did you mean `Network`?"),
        };
        let (got, said) = bootcode(dir.path(), &format!("{server} {command} -f kind.yaml"), b"");
        assert_eq!(got, code, "{command}: {said}");
        assert!(said.contains(part), "{command}: {said}");
    }
}

#[test]
fn many_faults_are_counted_and_the_first_ones_shown_at_length() {
    let bad = |n: usize| {
        let network = format!("10.{}.{}.0", n / 250, n % 250);
        NETWORK.replace("lab", &format!("n{n}")).replace("dhcp", "dchp").replace("192.168.99.0", &network)
    };
    for (count, summary) in [(30, "30 faults to mend"), (300, "200 faults or more to mend")] {
        let text: Vec<String> = (0..count).map(bad).collect();
        let dir = with(&[("all.yaml", text.join("---\n"))]);
        let (code, said) = bootcode(dir.path(), "validate -f m", b"");
        assert_eq!(code, 65);
        assert!(said.contains(summary), "{said}");
        assert_eq!(said.matches("error: ").count(), 20, "{said}");
        assert_eq!(said.contains("only the first 200 are listed"), count > 200, "{said}");
    }
}
