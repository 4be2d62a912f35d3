//! The wire: a bridge with the server's address, a tap for the machine, and links to neighbours.

use std::process::{Command, Stdio};

use super::child::Child;
use super::dir::LabDir;
use super::plan::MAC;
use crate::error::TaskError;
use crate::run::capture;

/// The address that the server has.
pub(crate) const SERVER: &str = "192.168.99.1";
/// The address of the other DHCP server, where there is one.
pub(crate) const NEIGHBOUR: &str = "192.168.99.2";
/// The machine's address.
pub(crate) const MACHINE: &str = "192.168.99.11";

/// Makes the bridge `br0` and the tap `tap0` in this network namespace, and a /run of its own.
///
/// # Errors
/// When the system refuses.
pub(crate) fn lay() -> Result<(), TaskError> {
    capture(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run"]))?;
    ip("link set lo up")?;
    ip("link add br0 type bridge")?;
    ip(&format!("addr add {SERVER}/24 dev br0"))?;
    ip("link set br0 up")?;
    ip("tuntap add tap0 mode tap")?;
    ip("link set tap0 master br0 up")
}

/// Plugs a namespace of this name, with an `eth0`, into the bridge.
///
/// # Errors
/// When the system refuses.
pub(crate) fn plug(name: &str, mac: Option<&str>, address: Option<&str>) -> Result<(), TaskError> {
    ip(&format!("netns add {name}"))?;
    ip(&format!("link add {name} type veth peer name eth0 netns {name}"))?;
    ip(&format!("link set {name} master br0 up"))?;
    ip(&format!("-n {name} link set lo up"))?;
    if let Some(mac) = mac {
        ip(&format!("-n {name} link set eth0 address {mac}"))?;
    }
    if let Some(address) = address {
        ip(&format!("-n {name} addr add {address}/24 dev eth0"))?;
    }
    ip(&format!("-n {name} link set eth0 up"))
}

/// A program in a plugged-in namespace.
pub(crate) fn inside(name: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", name, program]).stdin(Stdio::null());
    command
}

/// Starts a dnsmasq at [`NEIGHBOUR`] that leases this network and knows nothing of booting.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn dnsmasq(dir: &LabDir) -> Result<Child, TaskError> {
    plug("dhcp", None, Some(NEIGHBOUR))?;
    let mut command = inside("dhcp", "dnsmasq");
    command
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--group=root", "--port=0"])
        .args(["--log-dhcp", "--interface=eth0", "--bind-interfaces", "--pid-file=/run/dnsmasq.pid"])
        .arg("--dhcp-range=192.168.99.100,192.168.99.150,1h")
        .arg(format!("--dhcp-host={MAC},{MACHINE}"))
        .arg("--dhcp-authoritative")
        .arg(format!("--dhcp-leasefile={}", dir.path("dnsmasq.leases").display()));
    Child::start("dnsmasq", &mut command, &dir.path("dnsmasq.log"))
}

fn ip(words: &str) -> Result<(), TaskError> {
    capture(Command::new("ip").args(words.split(' '))).map(drop)
}
