//! Debian's cloud-init boots from what is served, from `init --local` to `final`, and its Ignition reads it.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1. Needs root and `cloud-init`, `dnsmasq-base`, `ignition`, `iproute2`,
//! `isc-dhcp-client`, `netplan.io`, `udev`.

mod again;
mod machine;

use std::process::Command;

use bootcode_core::{session::Use, timeline::BootEventKind};
use machine::{Booted, Machine};
use serde_json::{Value, json};

use super::site::{NOW, World, token};

/// A key that OpenSSH takes.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAxlcncODVW7EFAg191tXBGQN9i+s2aRxNF06KnBkUSN operator@lab.example";

/// As the engine names the instance of a machine that was installed once.
const INSTANCE: &str = "i-node-1-1-6b49d200";

/// Runs `body` on a thread with a network namespace of its own.
fn alone(body: impl FnOnce() + Send + 'static) {
    if std::env::var_os("BOOTCODE_REAL_PEERS").is_none_or(|value| value != "1") {
        eprintln!("not run: BOOTCODE_REAL_PEERS is not 1");
        return;
    }
    let apart = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace: run as root");
        body();
    };
    std::thread::spawn(apart).join().unwrap();
}

/// One machine with two interfaces, keys, and user data that write a file and phone home.
fn world(instance: &Value) -> World {
    let home =
        format!("http://192.168.99.1:7080/phone-home?token={}", token("node-1", Use::Instance, NOW + 3600));
    let user_data = json!({
        "write_files": [{"path": "/etc/declared", "content": "as declared\n"}],
        "phone_home": {"url": home, "post": ["pub_key_ed25519", "instance_id", "hostname"], "tries": 2},
    });
    World::with_instance(
        "node-1",
        json!({
            "hostname": "web-1",
            "interfaces": [
                {"id": "nic0", "mac": "52:54:00:00:00:01", "network": "lab", "ip": "192.168.99.11", "netboot": true},
                {"id": "nic1", "mac": "52:54:00:00:00:11"},
            ],
            "sshKeys": [KEY],
            "userData": format!("#cloud-config\n{user_data}\n"),
            "vendorData": "#cloud-config\n{\"timezone\": \"Europe/Vienna\"}\n",
            "instance": instance,
        }),
        INSTANCE,
    )
}

/// What every boot must have left, wherever it read its data.
fn check(booted: &Booted, world: &World) {
    assert!(booted.log().contains("Applying network configuration from ds"), "{}", booted.said);
    configured(booted, world);
}

fn configured(booted: &Booted, world: &World) {
    let log = booted.log();
    let bad = |line: &&str| ["[WARNING]", "[ERROR]", "[CRITICAL]"].iter().any(|level| line.contains(level));
    let complaints: Vec<&str> = log.lines().filter(bad).collect();
    assert!(complaints.is_empty(), "{}\n\n{}", complaints.join("\n"), booted.said);
    assert_eq!(booted.wrote("etc/hostname"), "web-1\n");
    assert!(booted.said.lines().any(|line| line == "web-1"), "{}", booted.said);
    assert_eq!(booted.wrote("homes/debian/.ssh/authorized_keys"), format!("{KEY}\n"));
    assert_eq!(booted.wrote("etc/declared"), "as declared\n");
    assert!(booted.said.contains("inet 192.168.99.11/24"), "{}", booted.said);
    assert!(booted.said.contains("default via 192.168.99.1"), "{}", booted.said);
    let host_key = booted.wrote("etc/ssh/ssh_host_ed25519_key.pub").trim().to_owned();
    let home = BootEventKind::PhonedHome { instance_id: INSTANCE.into(), host_keys: vec![host_key] };
    assert_eq!(world.recorded.last(), Some(home));
}

/// The reservation is written down, rather than asked of DHCP, and vendor data are read: EC2's data source knows neither.
fn check_written(booted: &Booted, nic: &str) {
    assert!(!booted.said.contains(" dynamic "), "{}", booted.said);
    assert!(booted.said.contains("10.9.0.0/16 via 192.168.99.2"), "{}", booted.said);
    assert!(!booted.said.contains("10.8.0.0/16"), "no route by itself: {}", booted.said);
    assert!(
        booted
            .wrote(&format!("run/systemd/network/10-netplan-{nic}.network"))
            .contains("Domains=lab.example")
    );
    assert_eq!(booted.wrote("etc/timezone"), "Europe/Vienna\n", "vendor data");
}

/// What a machine's image says of where its data are.
const SOURCES: &str = "etc/cloud/cloud.cfg.d/90-sources.cfg";

fn sources(list: &str, settings: &Value) -> String {
    json!({
        "datasource_list": [list],
        "datasource": {list: settings},
        // There is no systemd here to restart networkd.
        "disable_network_activation": true,
        "locale": "C.UTF-8",
        "growpart": {"mode": "off"},
        "resize_rootfs": false,
    })
    .to_string()
}

#[test]
fn ec2_s_data_source_configures_a_machine_that_is_no_cloud_s() {
    alone(|| {
        let world = world(&json!({}));
        let settings = json!({"strict_id": false, "metadata_urls": ["http://192.168.99.1:7080"]});
        let booted = Machine::new("quiet").with(SOURCES, &sources("Ec2", &settings)).boot(&world);
        check(&booted, &world);
    });
}

#[test]
fn ec2_s_data_source_configures_a_machine_that_wants_sessions() {
    alone(|| {
        let world = world(&json!({"httpTokens": "required"}));
        // It asks for a session where the hardware looks like AWS's.
        let uuid = "ec2e1916-9099-7caf-fd21-012345abcdef\n";
        let booted = Machine::new("quiet")
            .with(SOURCES, &sources("Ec2", &json!({"max_wait": 10})))
            .with("sys/class/dmi/id/product_uuid", uuid)
            .with("sys/class/dmi/id/product_serial", uuid)
            .boot(&world);
        check(&booted, &world);
    });
}

#[test]
fn openstack_s_data_source_configures_a_machine() {
    alone(|| {
        let world = world(&json!({}));
        let booted = Machine::new("quiet")
            .with(SOURCES, &sources("OpenStack", &json!({"max_wait": 10})))
            .with("sys/class/dmi/id/product_name", "OpenStack Nova\n")
            .boot(&world);
        check(&booted, &world);
        check_written(&booted, "eth0");
    });
}

#[test]
fn nocloud_s_data_source_configures_a_machine_by_network() {
    alone(|| {
        let world = world(&json!({}));
        let booted = Machine::new("quiet ds=nocloud-net;s=http://192.168.99.1:7080/nocloud/")
            .with(SOURCES, &sources("NoCloud", &json!({})))
            .boot(&world);
        // Of this release it fetches no network-config from a URL.
        assert!(booted.log().contains("Applying network configuration from fallback"));
        configured(&booted, &world);
        assert_eq!(booted.wrote("etc/timezone"), "Europe/Vienna\n", "vendor data");
    });
}

#[test]
fn nocloud_s_data_source_configures_a_machine_from_its_disk() {
    alone(|| {
        let world = world(&json!({}));
        let machine = Machine::new("quiet").with(SOURCES, &sources("NoCloud", &json!({})));
        let booted = machine.seeded(&world).boot(&world);
        check(&booted, &world);
        check_written(&booted, "nic0");
    });
}

#[test]
fn bonds_and_vlans_are_taken_by_cloud_init_and_netplan() {
    alone(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = World::with_machine("node-1", super::site::bonded());
        let served = |path| runtime.block_on(world.get("192.168.99.11", path, None)).body;
        // Names are those that the form can tell: OpenStack's bonds have none, and its VLANs the ones of what they are on.
        for (kind, path, storage) in [
            ("yaml", "/nocloud/network-config", "storage"),
            ("network_data.json", "/openstack/latest/network_data.json", "bond0.42"),
        ] {
            let root = converted(kind, &served(path));
            let read = |name: &str| {
                let file = root.path().join("run/systemd/network").join(format!("10-netplan-{name}"));
                std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{kind}: {name}: {error}"))
            };
            assert!(read("bond0.netdev").contains("Mode=802.3ad\n"), "{kind}");
            assert!(read("bond0.netdev").contains("MIIMonitorSec=100ms\n"), "{kind}");
            assert!(read("bond0.network").contains("Address=192.168.99.11/24\n"), "{kind}");
            assert!(read("bond0.network").contains("Gateway=192.168.99.1\n"), "{kind}");
            assert!(read(&format!("{storage}.netdev")).contains("Id=42\n"), "{kind}");
            let vlan = read(&format!("{storage}.network"));
            assert!(vlan.contains("Address=192.168.99.61/24\n"), "{kind}: {vlan}");
            assert!(!vlan.contains("Destination=0.0.0.0/0"), "one default route: {kind}: {vlan}");
        }
    });
}

/// What cloud-init and then netplan make of a network configuration.
fn converted(kind: &str, config: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("config");
    std::fs::write(&file, config).unwrap();
    let mut convert = Command::new("cloud-init");
    convert.args(["devel", "net-convert", "--kind", kind, "--distro", "debian", "--output-kind", "netplan"]);
    convert.arg("--network-data").arg(&file).arg("--directory").arg(root.path());
    for mac in ["nic0,52:54:00:00:00:01", "nic1,52:54:00:00:00:11", "nic2,52:54:00:00:00:21"] {
        convert.args(["--mac", mac]);
    }
    let mut generate = Command::new("netplan");
    generate.arg("generate").arg("--root-dir").arg(root.path());
    for mut command in [convert, generate] {
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{command:?}: {}\n{config}", String::from_utf8_lossy(&said));
    }
    root
}

#[test]
fn ignition_takes_what_is_served() {
    alone(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let nic = json!({"id": "nic0", "mac": "52:54:00:00:00:01", "network": "lab", "ip": "192.168.99.11"});
        for spec in [
            json!({"interfaces": [nic]}),
            json!({"interfaces": [nic], "hostname": "web-1", "sshKeys": [KEY, KEY]}),
        ] {
            let world = World::with_machine("node-1", spec);
            let config = runtime.block_on(world.get("192.168.99.11", "/ignition", None)).body;
            assert_eq!(validate(&config), "", "{config}");
            let broken = config.replace("/etc/hostname", "etc/hostname");
            assert_ne!(validate(&broken), "", "it looks at what it is given");
        }
    });
}

/// What Ignition has against a configuration.
fn validate(config: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config).unwrap();
    let output = Command::new("ignition-validate").arg(file.path()).output();
    let output = output.expect("ignition-validate, of ignition");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}
