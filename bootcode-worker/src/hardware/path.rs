//! Names of a disk by where it is plugged in, as udev's `path_id` makes them. OSIE runs no udev.

use std::path::Path;

/// `/dev/disk/by-path/..` names of a disk, from its place below `/sys/devices`.
pub(super) fn by_path(device: &Path) -> Vec<String> {
    let parts: Vec<&str> = device.iter().filter_map(|part| part.to_str()).collect();
    let Some(pci_at) = parts.iter().rposition(|part| is_pci(part)) else { return Vec::new() };
    let pci = format!("pci-{}", parts[pci_at]);
    let below = &parts[pci_at + 1..];
    let scsi = below.iter().rev().find(|part| part.split(':').count() == 4);
    let ata =
        below.iter().find_map(|part| part.strip_prefix("ata")).filter(|port| port.parse::<u32>().is_ok());
    let disk = below.last().copied().unwrap_or_default();
    let names = if let Some(namespace) = disk.strip_prefix("nvme").and_then(|rest| rest.rsplit_once('n')) {
        vec![format!("{pci}-nvme-{}", namespace.1)]
    } else if let Some(port) = ata {
        vec![format!("{pci}-ata-{port}")]
    } else if let Some(address) = scsi {
        vec![format!("{pci}-scsi-{address}")]
    } else if below.iter().any(|part| part.starts_with("virtio")) {
        vec![pci.clone(), format!("virtio-{pci}")]
    } else {
        vec![pci]
    };
    names.into_iter().map(|name| format!("/dev/disk/by-path/{name}")).collect()
}

/// `0000:00:04.0`.
fn is_pci(part: &str) -> bool {
    let bytes = part.as_bytes();
    bytes.len() == 12
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b':',
            10 => *byte == b'.',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_udev() {
        for (device, expected) in [
            (
                "/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda",
                &["pci-0000:00:04.0", "virtio-pci-0000:00:04.0"][..],
            ),
            (
                "/sys/devices/pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0/nvme0n1",
                &["pci-0000:01:00.0-nvme-1"],
            ),
            (
                "/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda",
                &["pci-0000:00:17.0-ata-1"],
            ),
            (
                "/sys/devices/pci0000:00/0000:03:00.0/host0/target0:2:1/0:2:1:0/block/sdb",
                &["pci-0000:03:00.0-scsi-0:2:1:0"],
            ),
            ("/sys/devices/platform/x/block/mmcblk0", &[]),
        ] {
            let names: Vec<String> =
                expected.iter().map(|name| format!("/dev/disk/by-path/{name}")).collect();
            assert_eq!(by_path(Path::new(device)), names, "{device}");
        }
    }
}
