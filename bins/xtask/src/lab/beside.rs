//! A server with defaults beside somebody else's DHCP server on the same wire: it must stay silent.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::child::Child;
use super::dir::LabDir;
use super::network::{self, NEIGHBOUR, SERVER};
use super::plan::{MAC, MACHINE};
use super::server::{Server, Serves};
use crate::error::TaskError;
use crate::interrupt::Interrupt;
use crate::run::capture;
use crate::workspace::Workspace;

const CAPTURE: &str = "replies.txt";
/// The machine's documents, in the words of somebody who did not ask for DHCP: no `dhcp:` in the Network.
const DOCUMENTS: &str = "\
apiVersion: bootcode/v1
kind: Network
metadata: {name: lab}
spec: {cidr: 192.168.99.0/24, gateway: 192.168.99.1}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1}
spec:
  interfaces:
    - {id: nic0, mac: 52:54:00:00:00:01, network: lab, ip: 192.168.99.11, netboot: true}
";
const SPEAKS: &str = "\
apiVersion: bootcode/v1
kind: Network
metadata: {name: lab}
spec: {cidr: 192.168.99.0/24, gateway: 192.168.99.1, dhcp: {mode: authoritative}}
";

/// Runs both, and an independent client; then makes the server speak, to prove that its silence would have been
/// broken visibly.
///
/// # Errors
/// When the client gets no lease, or the wire shows a reply of ours where there must be none.
pub(crate) fn run(workspace: &Workspace, dir: &LabDir, interrupt: &Interrupt) -> Result<(), TaskError> {
    network::lay()?;
    network::plug("client", Some(MAC), None)?;
    let machines = dir.path("machines");
    fs::create_dir_all(&machines).map_err(TaskError::file("making", &machines))?;
    let documents = machines.join("documents.yaml");
    fs::write(&documents, DOCUMENTS).map_err(TaskError::file("writing", &documents))?;
    let mut server = Server::configure(workspace, dir, Serves::Defaults)?;
    let neighbour = network::dnsmasq(dir)?;
    let _sniffer = sniff(dir, interrupt)?;
    server.start(MACHINE, interrupt)?;

    lease(interrupt)?;
    let replies = dir.text(CAPTURE);
    if !spoke(&replies, NEIGHBOUR) {
        return Err(failed("the capture shows no reply of dnsmasq either", &replies));
    }
    if spoke(&replies, SERVER) {
        return Err(failed("bootcode-server replied", &replies));
    }
    println!("    beside dnsmasq, bootcode-server with defaults sends no DHCP reply");

    drop(neighbour);
    let speaks = dir.path("speaks.yaml");
    fs::write(&speaks, SPEAKS).map_err(TaskError::file("writing", &speaks))?;
    server.operator().apply(&speaks)?;
    lease(interrupt)?;
    let replies = dir.text(CAPTURE);
    if !spoke(&replies, SERVER) {
        return Err(failed("told to speak, bootcode-server is not seen by the capture", &replies));
    }
    println!("    told to, it does, and the capture sees it");
    Ok(())
}

/// Asks for a lease with busybox's client.
fn lease(interrupt: &Interrupt) -> Result<(), TaskError> {
    let mut client = network::inside("client", "busybox");
    client.args(["udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "6", "-T", "2", "-s", "/bin/true"]);
    capture(&mut client)?;
    // The capture is a line behind the wire at most.
    interrupt.pause(Duration::from_millis(500))
}

fn sniff(dir: &LabDir, interrupt: &Interrupt) -> Result<Child, TaskError> {
    let mut command = Command::new("tcpdump");
    command.args(["-n", "-l", "-i", "br0", "udp and (src port 67 or src port 4011)"]);
    let child = Child::start("tcpdump", &mut command, &dir.path(CAPTURE))?;
    let start = Instant::now();
    while !dir.text(CAPTURE).contains("listening on") {
        if start.elapsed() > Duration::from_secs(10) {
            return Err(failed("tcpdump does not listen", &dir.text(CAPTURE)));
        }
        interrupt.pause(Duration::from_millis(100))?;
    }
    Ok(child)
}

/// Whether the capture shows a DHCP message from this address.
fn spoke(capture: &str, address: &str) -> bool {
    capture
        .lines()
        .any(|line| ["67", "4011"].iter().any(|port| line.contains(&format!("IP {address}.{port} > "))))
}

fn failed(found: &str, replies: &str) -> TaskError {
    TaskError::Check {
        check: "a server with defaults beside a dnsmasq sends no DHCP reply",
        found: format!("{found}:\n{replies}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_from_that_address_and_those_ports_count() {
        let line = "12:00:00.1 IP 192.168.99.1.67 > 255.255.255.255.68: BOOTP/DHCP, Reply, length 300";
        assert!(spoke(line, SERVER));
        assert!(!spoke(line, NEIGHBOUR));
        assert!(!spoke("12:00:00.1 IP 192.168.99.1.69 > 192.168.99.11.2000: TFTP", SERVER));
        assert!(!spoke("IP 192.168.99.11.67 > 255.255.255.255.68", SERVER));
    }
}
