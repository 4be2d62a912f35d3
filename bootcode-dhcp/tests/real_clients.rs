//! DHCP clients, a scanner and relays that are not ours, each in a network namespace of its own beside the server's.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1; then a missing tool is a failure. Needs root, iproute2, busybox, isc-dhcp-client, isc-dhcp-relay,
//! dhcpcd-base, dnsmasq-base and nmap.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/peers.rs"]
mod peers;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bootcode_core::{
    document::{DhcpMode, UnknownMachines},
    store::{MemoryStore, Store},
};
use common::{NODE, SERVER, World};
use peers::{on_a_wire, run, served, served_from};

/// A program in the background; killed when dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}: install its package")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A network namespace that lives as long as its first program.
struct Place(Running);

impl Place {
    fn new() -> Self {
        let this = Self(Running::start(Command::new("unshare").args(["--net", "--", "sleep", "300"])));
        let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let there = format!("/proc/{}/ns/net", this.pid());
        wait("a namespace", || fs::read_link(&there).is_ok_and(|namespace| namespace != own));
        this
    }

    fn pid(&self) -> u32 {
        self.0.0.id()
    }

    /// Takes an interface in, and switches it on.
    fn take(&self, interface: &str) {
        run("ip", &format!("link set {interface} netns {}", self.pid()));
        self.run(&format!("ip link set {interface} up"));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.pid().to_string(), "--", program]);
        command
    }

    fn run(&self, words: &str) {
        let (program, arguments) = words.split_once(' ').unwrap();
        let status = self.command(program).args(arguments.split(' ')).status().unwrap();
        assert!(status.success(), "{words}: {status}");
    }

    /// What a program prints, however it ends.
    fn output(&self, words: &str) -> String {
        let (program, arguments) = words.split_once(' ').unwrap();
        let output = self.command(program).args(arguments.split(' ')).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "no {what} within 30 s");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A script as dhclient, dhcpcd and udhcpc call it: it notes why, and does what the address needs.
fn script(dir: &Path) -> (String, impl Fn() -> Vec<String> + use<>) {
    let (path, log) = (dir.join("script"), dir.join("log"));
    let text = format!(
        "#!/bin/sh\n\
         echo \"${{reason:-$1}} ${{new_ip_address:-$ip}}\" >> {log}\n\
         case \"$reason\" in\n\
         BOUND|RENEW|REBIND|REBOOT) ip addr replace $new_ip_address/24 dev cli0 ;;\n\
         RELEASE|EXPIRE|FAIL) ip addr flush dev cli0 ;;\n\
         esac\nexit 0\n",
        log = log.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let said = move || fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect();
    (path.display().to_string(), said)
}

fn authoritative() -> World {
    World::new(DhcpMode::Authoritative)
}

#[test]
fn dhclient_in_every_state_keeps_its_address() {
    on_a_wire(|| {
        let place = Place::new();
        place.take("cli0");
        let client = move || {
            let dir = tempfile::tempdir().unwrap();
            let (script, said) = script(dir.path());
            let path = |name: &str| dir.path().join(name).display().to_string();
            // The client's own clock, so that nobody waits for half a lease.
            let config = "supersede dhcp-renewal-time 2;\nsupersede dhcp-rebinding-time 4;\n\
                          initial-interval 1;\nbackoff-cutoff 1;\n";
            fs::write(path("conf"), config).unwrap();
            fs::write(path("leases"), "").unwrap();
            let words =
                format!("-4 -d -cf {} -lf {} -pf {} -sf {script}", path("conf"), path("leases"), path("pid"));
            let dhclient = |more: &str| {
                let mut command = place.command("dhclient");
                command.args(words.split(' ')).args(more.split(' ')).stderr(Stdio::null());
                command
            };
            let reached = |state: &str| {
                let line = format!("{state} {NODE}");
                wait(state, || said().contains(&line));
            };
            let running = Running::start(&mut dhclient("cli0"));
            reached("BOUND");
            reached("RENEW");
            // The server cannot be reached by its address any more, only by broadcast: nobody has this hardware address.
            let nobody = format!("ip neigh replace {SERVER} lladdr 02:00:00:00:00:99 dev cli0 nud permanent");
            place.run(&nobody);
            // dhclient's script is told RENEW for both. One answer may be under way still; the second came by rebinding.
            let renewals = || said().iter().filter(|line| line.starts_with("RENEW")).count();
            let before = renewals();
            wait("rebinding", || renewals() >= before + 2);
            place.run(&format!("ip neigh del {SERVER} dev cli0"));
            drop(running);
            place.run("ip addr flush dev cli0");
            let running = Running::start(&mut dhclient("cli0"));
            reached("REBOOT");
            drop(running);
            assert!(dhclient("-r cli0").status().unwrap().success());
            assert!(said().iter().any(|line| line.starts_with("RELEASE")), "{:?}", said());
            // It was given no other, and lost none.
            for line in said() {
                let (state, ip) = line.split_once(' ').unwrap();
                assert!(!["FAIL", "EXPIRE", "NBI", "TIMEOUT"].contains(&state), "{:?}", said());
                assert!(ip.is_empty() || ip == NODE.to_string(), "{line}");
            }
        };
        let ((), events) = served(&authoritative(), client);
        // On a busy machine the client may ask anew before it takes an offer.
        let asked = events.iter().position(|event| event == "Request").unwrap();
        assert!(
            asked >= 2 && events[..asked].chunks(2).all(|two| two == ["Discover", "Offer"]),
            "{events:?}"
        );
        assert_eq!(events[asked + 1], "Ack", "{events:?}");
        assert!(!events.contains(&"Nak".to_owned()), "{events:?}");
        let acks = events.iter().filter(|event| *event == "Ack").count();
        assert!(acks >= 4, "selecting, renewing, rebinding, init-reboot: {events:?}");
    });
}

#[test]
fn dhclient_that_remembers_an_address_of_another_network_is_refused_and_starts_anew() {
    on_a_wire(|| {
        let place = Place::new();
        place.take("cli0");
        let client = move || {
            let dir = tempfile::tempdir().unwrap();
            let (script, said) = script(dir.path());
            let path = |name: &str| dir.path().join(name).display().to_string();
            fs::write(path("conf"), "initial-interval 1;\n").unwrap();
            let old = "lease {\n interface \"cli0\";\n fixed-address 10.9.9.9;\n option subnet-mask 255.255.255.0;\n \
                       option dhcp-server-identifier 10.9.9.1;\n renew never;\n rebind never;\n expire never;\n}\n";
            fs::write(path("leases"), old).unwrap();
            let words = format!(
                "-4 -d -cf {} -lf {} -pf {} -sf {script} cli0",
                path("conf"),
                path("leases"),
                path("pid")
            );
            let mut command = place.command("dhclient");
            let _running = Running::start(command.args(words.split(' ')).stderr(Stdio::null()));
            wait("BOUND", || said().contains(&format!("BOUND {NODE}")));
            assert!(!said().iter().any(|line| line.contains("10.9.9.9")), "{:?}", said());
        };
        let ((), events) = served(&authoritative(), client);
        assert!(
            events.starts_with(&["Request", "Nak", "Discover", "Offer", "Request", "Ack"].map(String::from)),
            "{events:?}"
        );
    });
}

#[test]
fn dhcpcd_gets_its_reservation() {
    on_a_wire(|| {
        let place = Place::new();
        place.take("cli0");
        let client = move || {
            let dir = tempfile::tempdir().unwrap();
            let (script, said) = script(dir.path());
            // Its own directories, in a mount namespace: none of this machine's.
            let text = format!(
                "mount -t tmpfs none /run && mkdir -p /var/lib/dhcpcd && mount -t tmpfs none /var/lib/dhcpcd && \
                 timeout 25 dhcpcd --config /dev/null --ipv4only --oneshot --noarp --nobackground --script {script} cli0"
            );
            let mut command = place.command("unshare");
            let output = command.args(["--mount", "sh", "-c", &text]).output().unwrap();
            let bound = said().contains(&format!("BOUND {NODE}"));
            assert!(bound, "{:?} {}", said(), String::from_utf8_lossy(&output.stderr));
        };
        let ((), events) = served(&authoritative(), client);
        assert_eq!(&events[..4], ["Discover", "Offer", "Request", "Ack"]);
    });
}

#[test]
fn nmap_finds_the_server_and_what_it_offers() {
    on_a_wire(|| {
        let place = Place::new();
        place.take("cli0");
        let client = move || {
            place.run("ip addr add 192.168.99.77/24 dev cli0");
            place.output(
                "timeout 30 nmap -n -e cli0 --script broadcast-dhcp-discover \
                 --script-args broadcast-dhcp-discover.mac=52:54:00:00:00:01,broadcast-dhcp-discover.timeout=5",
            )
        };
        let (text, _) = served(&authoritative(), client);
        for line in [
            "DHCP Message Type: DHCPOFFER".to_owned(),
            format!("IP Offered: {NODE}"),
            format!("Server Identifier: {SERVER}"),
            format!("Router: {SERVER}"),
        ] {
            assert!(text.contains(&line), "{line} is not in:\n{text}");
        }
    });
}

/// A machine's network behind a relay, `10.77.0.0/24`, with the relay's two addresses.
fn behind_a_relay() -> (World, &'static str) {
    let world = authoritative().with(|world| {
        let spec = &mut world.network.as_mut().unwrap().spec;
        spec.cidr = "10.77.0.0/24".parse().unwrap();
        spec.gateway = Some([10, 77, 0, 1].into());
        world.hardware.as_mut().unwrap().spec.interfaces[0].ip = Some([10, 77, 0, 11].into());
    });
    (world, "10.77.0.11")
}

/// `srv0` -- `up0` relay `down0` -- `cli0`: what a udhcpc behind this relay is told, and the timeline.
fn through(relay: &'static str) -> (Vec<String>, Vec<String>) {
    behind(relay, &behind_a_relay().0, None)
}

/// The same for any Network of 10.77.0.0/24, and with another machine there, which has 10.77.0.100.
fn behind(relay: &'static str, world: &World, leases: Option<Arc<dyn Store>>) -> (Vec<String>, Vec<String>) {
    let (between, place, other) = (Place::new(), Place::new(), Place::new());
    run("ip", "link delete cli0");
    run("ip", "link add srv0 type veth peer name up0");
    run("ip", &format!("address add {SERVER}/24 dev srv0"));
    run("ip", "link set srv0 up");
    run("ip", &format!("link add port0 type veth peer name cli0 address {}", common::MAC));
    run("ip", "link add port1 type veth peer name cli1");
    between.run("ip link set lo up");
    between.run("ip link add down0 type bridge");
    between.run("ip link set down0 up");
    between.take("up0");
    between.run("sysctl -q -w net.ipv4.ip_forward=1");
    for (interface, address) in [("up0", "192.168.99.2/24"), ("down0", "10.77.0.1/24")] {
        between.run(&format!("ip address add {address} dev {interface}"));
    }
    for port in ["port0", "port1"] {
        between.take(port);
        between.run(&format!("ip link set {port} master down0"));
    }
    run("ip", "route add 10.77.0.0/24 via 192.168.99.2");
    place.take("cli0");
    other.take("cli1");
    other.run("ip address add 10.77.0.100/24 dev cli1");
    other.run("ip route add default via 10.77.0.1");
    let client = move || {
        let dir = tempfile::tempdir().unwrap();
        let (script, said) = script(dir.path());
        let (program, words) = relay.split_once(' ').unwrap();
        let mut command = between.command(program);
        let _relay =
            Running::start(command.args(words.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()));
        let _other = &other;
        place.output(&format!("timeout 25 busybox udhcpc -i cli0 -f -n -q -t 15 -T 1 -s {script}"));
        said()
    };
    served_from(world, leases, client)
}

#[test]
fn a_client_behind_isc_dhcrelay_gets_its_reservation() {
    on_a_wire(|| {
        // With option 82 of its own, which comes back last and is taken off again by the relay.
        let (said, events) = through("dhcrelay -4 -d -a -iu up0 -id down0 192.168.99.1");
        assert!(said.contains(&format!("bound {}", behind_a_relay().1)), "{said:?} {events:?}");
    });
}

#[test]
fn a_client_behind_a_dnsmasq_relay_gets_its_reservation() {
    on_a_wire(|| {
        let (said, events) = through(
            "dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --group=root --port=0 --pid-file= \
             --dhcp-relay=10.77.0.1,192.168.99.1",
        );
        assert!(said.contains(&format!("bound {}", behind_a_relay().1)), "{said:?} {events:?}");
    });
}

#[test]
fn an_address_of_the_pool_that_answers_a_ping_behind_the_relay_is_not_offered() {
    on_a_wire(|| {
        let world = behind_a_relay().0.with(|world| {
            let spec = &mut world.network.as_mut().unwrap().spec;
            spec.pool = vec!["10.77.0.100-10.77.0.109".parse().unwrap()];
            spec.unknown = UnknownMachines::Pool;
            world.hardware = None;
        });
        let relay = "dhcrelay -4 -d -a -iu up0 -id down0 192.168.99.1";
        let (said, _) = behind(relay, &world, Some(Arc::new(MemoryStore::new())));
        assert!(said.contains(&"bound 10.77.0.101".to_owned()), "{said:?}");
    });
}
