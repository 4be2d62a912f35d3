//! What a privileged container can be given: a worker in a confined place cannot hand out more than it has.

use std::{fs::File, io::Read as _};

use crate::limits::ATTRIBUTE_BYTES;

/// The capabilities that children of this process can have at all, by their names.
pub(super) fn capabilities() -> Vec<&'static str> {
    let mut status = String::new();
    let read = File::open("/proc/self/status")
        .and_then(|file| file.take(ATTRIBUTE_BYTES).read_to_string(&mut status));
    // Where it cannot be read there is nothing that confines us, as far as anybody knows.
    let set = read.ok().and_then(|_| bounding(&status)).unwrap_or(u64::MAX);
    NAMES.iter().enumerate().filter(|(bit, _)| set & (1 << bit) != 0).map(|(_, name)| *name).collect()
}

/// Whether something is missing.
#[cfg(feature = "docker")]
pub(super) fn is_confined(capabilities: &[&str]) -> bool {
    capabilities.len() < NAMES.len()
}

fn bounding(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// In the order of their bits (linux/capability.h).
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounding_set_is_read() {
        assert_eq!(bounding("CapPrm:\t0\nCapBnd:\t000001fffeffffff\n"), Some(0x1ff_feff_ffff));
        assert_eq!(bounding("Name:\tx\n"), None);
        assert_eq!(NAMES[24], "CAP_SYS_RESOURCE");
    }
}
