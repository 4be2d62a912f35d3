//! What machines ask, and how it is told that the answer is theirs.

use crate::wire::machine_mac;

/// One question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// `MAC` in it is the machine's.
    pub(crate) path: &'static str,
    /// Where in the body the machine's name stands, where it does.
    pub(crate) name_at: Option<usize>,
}

const fn ask(path: &'static str) -> Ask {
    Ask { path, name_at: None }
}

const fn named(path: &'static str, at: usize) -> Ask {
    Ask { path, name_at: Some(at) }
}

/// What nginx serves.
pub(crate) const FILE: Ask = ask("/1k");

/// One of each form, in turn.
pub(crate) const MIX: [Ask; 4] = [
    named("/latest/meta-data/instance-id", 2),
    ask("/latest/user-data"),
    ask("/nocloud/meta-data"),
    named("/metadata", 9),
];

/// What cloud-init's Ec2 asks of a machine with one interface and one key, after each listing that it was given.
pub(crate) const BOOT: [Ask; 20] = [
    named("/2009-04-04/meta-data/instance-id", 2),
    named("/2021-03-23/meta-data/instance-id", 2),
    ask("/2021-03-23/user-data"),
    ask("/2021-03-23/meta-data/"),
    named("/2021-03-23/meta-data/hostname", 0),
    ask("/2021-03-23/meta-data/instance-type"),
    named("/2021-03-23/meta-data/local-hostname", 0),
    ask("/2021-03-23/meta-data/local-ipv4"),
    ask("/2021-03-23/meta-data/mac"),
    ask("/2021-03-23/meta-data/network/"),
    ask("/2021-03-23/meta-data/network/interfaces/"),
    ask("/2021-03-23/meta-data/network/interfaces/macs/"),
    ask("/2021-03-23/meta-data/network/interfaces/macs/MAC/"),
    ask("/2021-03-23/meta-data/network/interfaces/macs/MAC/device-number"),
    named("/2021-03-23/meta-data/network/interfaces/macs/MAC/local-hostname", 0),
    ask("/2021-03-23/meta-data/network/interfaces/macs/MAC/local-ipv4s"),
    ask("/2021-03-23/meta-data/public-keys/"),
    ask("/2021-03-23/meta-data/public-keys/0/"),
    ask("/2021-03-23/meta-data/public-keys/0/openssh-key"),
    ask("/2021-03-23/dynamic/instance-identity/document"),
];

/// A machine's name.
pub(crate) fn name(machine: u32) -> String {
    format!("m{machine:06}")
}

/// Its hardware address.
pub(crate) fn mac(machine: u32) -> String {
    machine_mac(machine).map(|byte| format!("{byte:02x}")).join(":")
}

impl Ask {
    /// The request of this machine, over a connection that is kept or not.
    pub(crate) fn request(&self, machine: u32, keep: bool) -> Vec<u8> {
        let path = if self.path.contains("MAC") {
            self.path.replace("MAC", &mac(machine))
        } else {
            self.path.to_owned()
        };
        let close = if keep { "" } else { "Connection: close\r\n" };
        format!("GET {path} HTTP/1.1\r\nHost: metadata\r\nUser-Agent: Cloud-Init/22.4.2\r\nAccept: */*\r\n{close}\r\n").into_bytes()
    }
}
