//! How far a session's token goes: the real server, a machine, and a container behind that machine's address.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); needs root, `ip` (iproute2), `curl`, `nft` (nftables) and `nsenter`
//! (util-linux).

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{MACHINE, NETWORK, Place, Serving, on_a_wire};

/// A network namespace, as long as a program sleeps in it.
struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Host {
    fn new() -> Self {
        let sleep =
            Command::new("unshare").args(["--net", "sleep", "600"]).stdin(Stdio::null()).spawn().unwrap();
        let host = Self(sleep);
        let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let start = Instant::now();
        while fs::read_link(format!("/proc/{}/ns/net", host.0.id())).is_ok_and(|namespace| namespace == own) {
            assert!(start.elapsed() < Duration::from_secs(20), "no network namespace: run as root");
            std::thread::sleep(Duration::from_millis(10));
        }
        host.run("ip link set lo up");
        host
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.0.id().to_string()]).args(line.split(' '));
        command
    }

    fn run(&self, line: &str) {
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The status of a PUT for a token; 0 where nothing came back.
    fn token(&self, url: &str) -> u16 {
        let curl = "curl -s -o /dev/null -w %{http_code} --max-time 4 -k -X PUT";
        let line = format!("{curl} -H X-aws-ec2-metadata-token-ttl-seconds:60 {url}/latest/api/token");
        String::from_utf8(self.command(&line).output().unwrap().stdout).unwrap().parse().unwrap()
    }

    /// What a session's GET would be asked with, without one.
    fn leaf(&self, url: &str) -> String {
        let line = format!("curl -s --max-time 4 -k {url}/latest/meta-data/hostname");
        String::from_utf8(self.command(&line).output().unwrap().stdout).unwrap()
    }
}

/// node-1 on the bridge, and a container on it that goes out by node-1's address.
fn machine_and_container() -> (Host, Host) {
    let (machine, container) = (Host::new(), Host::new());
    let ours = |line: String| {
        assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success(), "ip {line}");
    };
    ours(format!("link add node1 type veth peer name eth0 netns {}", machine.0.id()));
    ours("link set node1 master br0".to_owned());
    ours("link set node1 up".to_owned());
    for line in [
        "ip addr add 192.168.99.11/24 dev eth0",
        "ip link set eth0 up",
        &format!("ip link add inner type veth peer name eth0 netns {}", container.0.id()),
        "ip addr add 10.88.0.1/24 dev inner",
        "ip link set inner up",
        "sysctl -q -w net.ipv4.ip_forward=1",
        "nft add table ip nat",
        "nft add chain ip nat out { type nat hook postrouting priority 100 ; }",
        "nft add rule ip nat out oifname eth0 masquerade",
    ] {
        machine.run(line);
    }
    for line in
        ["ip addr add 10.88.0.2/24 dev eth0", "ip link set eth0 up", "ip route add default via 10.88.0.1"]
    {
        container.run(line);
    }
    (machine, container)
}

fn apply(serving: &Serving, limit: &str) {
    let machine = format!("{MACHINE}  instance: {{{limit}}}\n");
    serving.apply(&format!("{NETWORK}---\n{machine}")).unwrap();
    // The snapshot follows the store within milliseconds; whoever asks before would be told of the one before.
    std::thread::sleep(Duration::from_millis(500));
}

#[test]
fn a_container_behind_its_machine_gets_a_token_only_where_the_limit_lets_it() {
    on_a_wire(|| {
        let place = Place::complete("");
        assert_eq!(place.run(&["ca"]).code, Some(0));
        let serving = place.serve(&["--set=http.tls.listen=192.168.99.1:7444"]);
        let (machine, container) = machine_and_container();
        for url in ["http://192.168.99.1:7080", "https://192.168.99.1:7444"] {
            for (limit, behind) in
                [("", 200), ("httpPutResponseHopLimit: 1", 0), ("httpPutResponseHopLimit: 2", 200)]
            {
                apply(&serving, limit);
                assert_eq!(machine.token(url), 200, "{url} {limit}: the machine itself");
                assert_eq!(container.token(url), behind, "{url} {limit}: the container");
                assert_eq!(container.leaf(url), "node-1", "{url} {limit}: only tokens are held back");
            }
        }
    });
}
