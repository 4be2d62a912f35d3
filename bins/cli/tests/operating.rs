//! The command with a server, as an operator uses it. The server's program lies beside this one's.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); needs root, `ip` (iproute2) and `busybox`.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const DOCUMENTS: &str = "apiVersion: bootcode/v1
kind: Network
metadata: {name: lab}
spec: {cidr: 192.168.99.0/24, dhcp: {mode: authoritative}}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1}
spec:
  interfaces: [{id: nic0, mac: 52:54:00:00:00:01, network: lab, ip: 192.168.99.11, netboot: true}]
  storage: {disks: [{id: a, device: /dev/vda}]}
---
apiVersion: bootcode/v1
kind: Template
metadata: {name: debian}
spec:
  data: |
    version: '0.1'
    name: debian
    global_timeout: 60
    tasks:
    - name: install
      worker: '{{.device_1}}'
      actions:
      - {name: wipe, image: disk-wipe:v3, timeout: 9, volumes: ['/dev:/dev']}
";
const WORKFLOW: &str = "apiVersion: bootcode/v1
kind: Workflow
metadata: {name: install}
spec: {template: debian, hardware: node-1}
";

/// Runs `body` on a thread with a network namespace that has a wire from `srv0` to the machine's `cli0`.
fn on_a_wire(body: impl FnOnce() + Send + 'static) {
    if std::env::var_os("BOOTCODE_REAL_PEERS").is_none_or(|value| value != "1") {
        eprintln!("not run: BOOTCODE_REAL_PEERS is not 1");
        return;
    }
    let wire = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace: run as root");
        for arguments in [
            "link set lo up",
            "link add srv0 type veth peer name cli0 address 52:54:00:00:00:01",
            "address add 192.168.99.1/24 dev srv0",
            "link set srv0 up",
            "link set cli0 up",
        ] {
            let status =
                Command::new("ip").args(arguments.split(' ')).status().expect("iproute2 is installed");
            assert!(status.success(), "ip {arguments}: {status}");
        }
        body();
    };
    std::thread::spawn(wire).join().unwrap();
}

struct Site {
    dir: tempfile::TempDir,
    server: Child,
}

impl Site {
    /// With these documents in its directory.
    fn new(machines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["files", "osie", "ipxe", "images", "machines"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let config = "interfaces: [srv0]\ndata_dir: data\napi: {socket: api.sock}\nipxe: ipxe\nsources: [{dir: machines}]\n";
        fs::write(dir.path().join("bootcode.yaml"), config).unwrap();
        fs::write(dir.path().join("machines/all.yaml"), machines).unwrap();
        let server = serve(dir.path());
        Self { dir, server }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootcode"));
        command.current_dir(self.dir.path()).env("BOOTCODE_SERVER", "unix:api.sock").args(line.split(' '));
        command
    }

    /// The exit code, and what was said on both streams.
    fn bootcode(&self, line: &str) -> (i32, String) {
        let output = self.command(line).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(!text.contains("panicked"), "{line}: {text}");
        (output.status.code().unwrap(), text)
    }

    /// Each command ends with this code and says this.
    #[track_caller]
    fn say(&self, commands: &[(&str, i32, &str)]) {
        for (line, code, expected) in commands {
            let (got, text) = self.bootcode(line);
            assert_eq!(got, *code, "{line}: {text}");
            assert!(text.contains(expected), "{line}: `{expected}` is not in: {text}");
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn serve(dir: &Path) -> Child {
    let program = beside("bootcode-server");
    let server = Command::new(&program).current_dir(dir).stderr(Stdio::piped()).spawn();
    let mut server = server.unwrap_or_else(|error| {
        panic!("{}: {error}: `cargo build -p bootcode-server` makes it", program.display())
    });
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("serving http=")), "the server ended");
    std::thread::spawn(move || log.for_each(drop));
    server
}

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_bootcode")).with_file_name(name)
}

#[test]
fn what_is_not_there_is_named() {
    on_a_wire(|| {
        let site = Site::new(DOCUMENTS);
        site.say(&[
            ("get hardware nope", 1, "there is no Hardware `nope`"),
            ("timeline nope", 1, "there is no Hardware `nope`"),
            ("logs nope", 1, "there is no Workflow `nope`"),
            ("wait nope", 1, "there is no Workflow `nope`"),
            ("delete network nope", 1, "there is no Network `nope`"),
            ("release nope", 1, "there is no workflow nope"),
            ("cancel nope", 1, "there is no workflow nope"),
            ("retry nope", 1, "there is no workflow nope"),
            ("get workflow", 0, "there is no Workflow"),
            ("timeline node-1", 0, "nothing was seen of node-1 yet"),
            ("apply -f machines", 0, "unchanged Network/lab"),
            ("delete network lab", 1, "is needed by Hardware `node-1`"),
        ]);
    });
}

#[test]
fn a_workflow_is_released_cancelled_and_never_run_twice() {
    on_a_wire(|| {
        let site = Site::new(&[DOCUMENTS, WORKFLOW].join("---\n"));
        site.write("other.yaml", &WORKFLOW.replace("name: install", "name: other"));
        site.write("changed.yaml", &WORKFLOW.replace("hardware:", "overwrite: any, hardware:"));
        site.write("same.yaml", WORKFLOW);
        site.say(&[
            ("get workflow install", 0, "FreshStore"),
            ("retry install", 1, "is Held"),
            ("apply -f other.yaml", 1, "has the open workflow install"),
            ("apply -f changed.yaml", 65, "changed.yaml:4:7"),
            ("delete hardware node-1", 1, "is needed by Workflow `install`"),
            ("delete workflow install", 1, "is Held"),
        ]);
        let mut waiting = site.command("wait install").stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(waiting.stderr.take().unwrap()).lines();
        assert!(told.next().unwrap().unwrap().contains("bootcode release"), "a wait says what it waits for");
        site.say(&[
            ("release install", 0, "install is Pending"),
            ("release install", 1, "is not held"),
            ("retry install", 1, "only one that is Failed or TimedOut"),
            ("logs install", 0, ""),
            ("logs install --action nope", 1, "no action `nope`; it has wipe"),
            ("cancel install", 0, "install is Cancelled"),
            ("cancel install", 0, "install is Cancelled"),
            ("retry install", 1, "is Cancelled"),
            ("wait install", 1, "install is Cancelled: an operator cancelled it"),
            ("logs install -f", 0, ""),
            ("delete workflow install", 0, "deleted Workflow/install"),
            ("apply -f same.yaml", 1, "its name is taken"),
            ("apply -f other.yaml", 0, "created   Workflow/other"),
        ]);
        assert_eq!(waiting.wait().unwrap().code(), Some(1), "the wait ended with the workflow");
    });
}

#[test]
fn output_is_for_people_and_for_programs() {
    on_a_wire(|| {
        let site = Site::new(&[DOCUMENTS, WORKFLOW].join("---\n"));
        let (_, table) = site.bootcode("get hardware");
        assert_eq!(
            table,
            "NAME    MAC                ADDRESS        PROFILE  STATE\nnode-1  52:54:00:00:00:01  192.168.99.11\n"
        );
        let (_, json) = site.bootcode("get hardware -o json");
        let items: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(items[0]["spec"]["interfaces"][0]["mac"], "52:54:00:00:00:01");
        let (_, yaml) = site.bootcode("get hardware node-1 -o yaml");
        site.write("again.yaml", &yaml);
        site.say(&[("apply -f again.yaml", 0, "unchanged Hardware/node-1")]);
        let (_, json) = site.bootcode("get workflow install -o json");
        let workflow: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(workflow["status"]["state"], "Held");

        let mut child = site
            .command("get template -o yaml")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "a reader that went away is no failure: {said}");
        assert_eq!(said, "");
    });
}

#[test]
fn a_timeline_is_aligned_and_follows_the_machine() {
    on_a_wire(|| {
        let site = Site::new(DOCUMENTS);
        let mut following = site.command("timeline node-1 -f").stdout(Stdio::piped()).spawn().unwrap();
        let udhcpc = "udhcpc -i cli0 -n -q -f -s /bin/true -t 5 -T 1";
        let status = Command::new("busybox").args(udhcpc.split(' ')).stderr(Stdio::null()).status();
        assert!(status.expect("busybox is installed").success(), "the machine got its address");
        let mut live = BufReader::new(following.stdout.take().unwrap()).lines().map_while(Result::ok);
        let lines: Vec<String> = live.by_ref().take_while(|line| !line.contains("  Ack ")).collect();
        following.kill().unwrap();
        following.wait().unwrap();
        for (line, name) in lines.iter().zip(["Discover", "Offer", "Request"]) {
            assert_eq!(line.find(name), Some(14), "{lines:#?}");
        }
        assert!(lines[1].contains("192.168.99.11"), "{lines:#?}");
        let (_, json) = site.bootcode("timeline node-1 -o json");
        let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(first["event"], "Discover", "{json}");
    });
}

#[test]
fn a_diff_says_what_an_apply_would_do_and_does_nothing() {
    on_a_wire(|| {
        let site = Site::new(DOCUMENTS);
        let changed = DOCUMENTS
            .replace("dhcp: {mode: authoritative}", "dhcp: {mode: proxy}, ntp: [192.168.99.1]")
            .replace("metadata: {name: node-1}", "metadata: {name: node-1, labels: {rack: a1}}")
            .replace("timeout: 9,", "timeout: 90,");
        let machine = "apiVersion: bootcode/v1\nkind: Hardware\nmetadata: {name: node-2}\nspec:\n  interfaces: [{id: nic0, mac: 52:54:00:00:00:02, network: lab, ip: 192.168.99.12}]\n";
        site.write("new.yaml", &[&changed, machine, WORKFLOW].join("---\n"));
        site.write("same.yaml", DOCUMENTS);
        site.write("bad.yaml", &WORKFLOW.replace("debian", "debain"));
        let before = site.bootcode("get hardware -o json");
        let (code, said) = site.bootcode("diff -f new.yaml");
        assert_eq!(code, 0, "{said}");
        // What somebody wrote is shown as it was written, however long.
        let ours = said.lines().filter(|line| !line.trim_start().starts_with(['+', '-']));
        assert!(ours.into_iter().all(|line| line.chars().count() <= 80), "{said}");
        insta::assert_snapshot!(said);
        let (code, again) = site.bootcode("diff -f new.yaml --exit-code");
        assert_eq!((code, again), (1, said), "nothing was changed by looking");
        let (_, json) = site.bootcode("diff -f new.yaml -o json");
        let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(plan["writes"][0]["disk"], "a", "{json}");
        assert_eq!(plan["created"][0]["kind"], "Hardware", "{json}");
        assert_eq!(site.bootcode("get hardware -o json"), before);
        site.say(&[
            ("diff -f same.yaml --exit-code", 0, "3 unchanged"),
            ("diff -f bad.yaml", 65, "did you mean `debian`?"),
            ("apply -f bad.yaml", 65, "nothing was applied, 1 fault to mend"),
            ("apply -f new.yaml", 0, "created   Workflow/install"),
            ("diff -f new.yaml --exit-code", 0, "5 unchanged"),
            ("diff -f same.yaml", 0, "spec.ntp:"),
        ]);
    });
}

#[test]
fn documents_are_selected_described_and_followed_to_the_action() {
    on_a_wire(|| {
        let labelled =
            DOCUMENTS.replace("metadata: {name: node-1}", "metadata: {name: node-1, labels: {rack: a1}}");
        let labelled = labelled.replace("  storage:", "  profile: small\n  storage:");
        let profile =
            "apiVersion: bootcode/v1\nkind: Profile\nmetadata: {name: small}\nspec: {kernelArgs: [quiet]}\n";
        let site = Site::new(&[&labelled, profile, WORKFLOW].join("---\n"));
        site.say(&[
            ("get hardware node-1 --resolved -o yaml", 0, "# spec.kernelArgs: Profile small"),
            ("get hardware -l rack=a1", 0, "node-1"),
            ("get hardware -l rack=a2", 0, "there is no Hardware"),
            ("get hardware -l rack", 64, "write label=value"),
            ("get workflow install", 0, "ACTION  ON      ATTEMPT  STATE"),
            ("get workflow install", 0, "wipe    node-1  0        Pending"),
            ("describe workflow install", 0, "Reason:       FreshStore"),
            ("describe hardware node-1", 0, "rack: a1"),
            ("describe hardware node-1", 0, "install  node-1   Held"),
            ("describe hardware node-1", 0, "nothing was seen of it yet"),
            ("describe hardware nope", 1, "there is no Hardware `nope`"),
        ]);
        let (_, table) = site.bootcode("get hardware node-1 --resolved");
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        insta::assert_snapshot!(table);
        let (_, json) = site.bootcode("get hardware node-1 --resolved -o json");
        let machine: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(machine["spec"]["kernelArgs"][0], "quiet", "{json}");
        let fields = machine["fields"].as_array().unwrap();
        let field = fields.iter().find(|field| field["path"] == "spec.kernelArgs").unwrap();
        assert_eq!(field["origin"], serde_json::json!({"from": "profile", "name": "small"}));
    });
}

#[test]
fn changes_are_watched_over_a_restart_of_the_server() {
    on_a_wire(|| {
        let mut site = Site::new(&[DOCUMENTS, WORKFLOW].join("---\n"));
        let watching = |format: &str| {
            let line = ["watch -o ", format].concat();
            let mut child =
                site.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
            assert!(said.next().unwrap().contains("watching"));
            (child, lines, said)
        };
        let (mut table, mut lines, mut said) = watching("table");
        let (mut json, mut values, _told) = watching("json");
        site.write(
            "labelled.yaml",
            &DOCUMENTS.replace("{name: node-1}", "{name: node-1, labels: {rack: a1}}"),
        );
        site.say(&[
            ("release install", 0, "Pending"),
            ("apply -f labelled.yaml", 0, "changed   Hardware/node-1"),
        ]);
        let released = lines.next().unwrap();
        assert_eq!(&released[8..], "  Workflow/install          Released", "{released}");
        let applied = lines.next().unwrap();
        assert_eq!(&applied[8..], "  Hardware/node-1           Applied", "{applied}");
        let value: serde_json::Value = serde_json::from_str(&values.next().unwrap()).unwrap();
        assert_eq!((&value["kind"], &value["change"]), (&"Workflow".into(), &"Released".into()), "{value}");

        site.server.kill().unwrap();
        site.server.wait().unwrap();
        let away = said.next().unwrap();
        assert!(away.contains("trying again"), "{away}");
        site.server = serve(site.dir.path());
        site.say(&[("cancel install", 0, "Cancelled")]);
        let back = said.next().unwrap();
        assert!(back.contains("the server is back"), "{back}");
        assert!(lines.any(|line| line.ends_with("Workflow/install          Cancelled")), "nothing is missed");
        for child in [&mut table, &mut json] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        site.server.kill().unwrap();
        site.server.wait().unwrap();
        site.say(&[("watch", 69, "is bootcode-server running?")]);
    });
}

#[test]
fn an_interrupt_ends_what_follows_quietly() {
    on_a_wire(|| {
        let site = Site::new(&[DOCUMENTS, WORKFLOW].join("---\n"));
        for line in ["timeline node-1 -f", "logs install -f", "wait install", "watch"] {
            let mut child = site.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            // It asks the server over the socket as soon as it runs; before that there is nothing to interrupt.
            let socket = format!("/proc/{}/fd/", child.id());
            while fs::read_dir(&socket).unwrap().count() < 5 {
                std::thread::yield_now();
            }
            let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            let status = child.wait().unwrap();
            // By our handler, or by the signal itself where that was quicker: shells say 130 of both.
            assert!(status.code() == Some(130) || status.signal() == Some(2), "{line}: {status} {said}");
            assert!(!said.contains("error") && !said.contains("panicked"), "{line}: {said}");
        }
    });
}

#[test]
fn a_machine_that_nobody_declared_is_listed_over_a_restart_and_adopted_once() {
    on_a_wire(|| {
        let network = DOCUMENTS.split("---").next().unwrap().replace("cidr:", "unknown: record, cidr:");
        let mut site = Site::new(&network);
        let mac = "52:54:00:00:00:01";
        site.say(&[
            ("get unknown", 0, "no machine without a Hardware"),
            (&format!("adopt {mac}"), 1, "there is no unknown machine 52:54:00:00:00:01"),
            ("describe unknown nope", 65, "`nope` is no MAC address"),
        ]);
        let asks = || {
            let status = Command::new("busybox")
                .args("udhcpc -i cli0 -f -n -q -t 1 -T 1 -x hostname:Node-7 -s /bin/true".split(' '))
                .stderr(Stdio::null())
                .status();
            assert!(!status.unwrap().success(), "it is recorded, not answered");
        };
        asks();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !site.bootcode("get unknown").1.contains(mac) {
            assert!(std::time::Instant::now() < until, "never listed");
        }
        site.server.kill().unwrap();
        site.server.wait().unwrap();
        site.server = serve(site.dir.path());
        site.write("taken.yaml", "apiVersion: bootcode/v1\nkind: Hardware\nmetadata: {name: taken}\nspec: {interfaces: [{id: nic0, mac: 52:54:00:00:00:09}]}\n");
        site.say(&[
            ("get unknown", 0, "Node-7"),
            ("get unknown 52-54-00-00-00-01 -o yaml", 0, "vendorClass: udhcp"),
            (&format!("describe unknown {mac}"), 0, "Hostname:     Node-7"),
            ("apply -f taken.yaml", 0, "created   Hardware/taken"),
            (&format!("adopt {mac} --name taken"), 1, "there is a Hardware `taken` already"),
            (&format!("adopt {mac} --name A_B"), 65, "is no name"),
            (&format!("adopt {mac} --ip 10.9.9.9"), 65, "outside 192.168.99.0/24"),
            (&format!("adopt {mac}"), 65, "needs its `ip`"),
            (&format!("adopt {mac} --ip 192.168.99.11 --dry-run"), 0, "name: node-7"),
            (&format!("adopt {mac} --ip 192.168.99.11 -o json"), 0, "\"name\": \"node-7\""),
            ("get hardware node-7", 1, "there is no Hardware `node-7`"),
            (&format!("adopt {mac} --ip 192.168.99.11"), 0, "created   Hardware/node-7"),
            ("get hardware", 0, "192.168.99.11"),
            ("get unknown", 0, "no machine without a Hardware"),
            (&format!("adopt {mac}"), 1, "it is Hardware `node-7`"),
        ]);
    });
}

/// Over the operators' socket to a server that serves, and no trace of it left there.
#[test]
fn a_preview_tells_what_a_client_would_be_told_and_leaves_no_trace() {
    on_a_wire(|| {
        let machines = DOCUMENTS.replace("cidr:", "unknown: record, cidr:");
        let site = Site::new(&machines);
        let ask = |rest: &str| format!("preview-boot --mac 52:54:00:00:00:01 --arch {rest}");
        let unknown = "preview-boot --mac 52:54:00:00:00:09 --arch bios";
        site.say(&[
            (&ask("bios"), 0, "Network   lab (192.168.99.0/24), DHCP authoritative, by interface srv0"),
            (&ask("x64-efi"), 0, "no Workflow has work for it"),
            (&ask("x64-efi --network lab -o yaml"), 0, "yiaddr: \"192.168.99.11\""),
            (&ask("0 --relay 192.168.99.7 -o json"), 0, "\"to\": \"192.168.99.7:67, the relay agent\""),
            (
                &ask("7 --message request --ip 192.168.99.12"),
                1,
                "NAK: 192.168.99.12 is not yours, 192.168.99.11 is",
            ),
            (&ask("7 --relay 172.16.0.1"), 1, "unknown-network: no declared Network"),
            (unknown, 1, "`bootcode adopt 52:54:00:00:00:09` declares it"),
            (&ask("x65-efi"), 64, "`x65-efi` is no architecture"),
            ("preview-boot --mac 52:54:00:00:00:0g --arch 7", 64, "is no MAC address"),
            ("preview-boot --mac 01:54:00:00:00:01 --arch 7", 64, "is a group's address"),
            ("preview-boot --mac 52:54:00:00:00:01", 64, "name it with --arch"),
            (&ask("7 --network nope"), 64, "there is no Network `nope`"),
            (&ask("7 --network lab --relay 192.168.99.7"), 64, "cannot be used with"),
            ("timeline node-1", 0, "nothing was seen of node-1 yet"),
            ("get unknown", 0, "no machine without a Hardware"),
        ]);
    });
}
