//! A wire between two network namespaces: the server's, and the relay's, in which one thread of ours is.

use std::{io, net::Ipv4Addr, process::Command};

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 1);
pub(crate) const RELAY: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 2);

pub(crate) fn machine_ip(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 1, 0)) + n)
}

pub(crate) fn machine_mac(n: u32) -> [u8; 6] {
    let [a, b, c, d] = n.to_be_bytes();
    [2, 0, a, b, c, d]
}

pub(crate) fn run(program: &str, args: &str) -> io::Result<()> {
    let status = Command::new(program).args(args.split(' ')).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{program} {args}: {status}"))) }
}

/// This thread, and what it starts from now on, gets a network namespace of its own.
pub(crate) fn own_namespace() -> io::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
    run("ip", "link set lo up")
}
