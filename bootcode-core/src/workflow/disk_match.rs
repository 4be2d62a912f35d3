//! Whether a disk of a machine is the one that a document names.

use super::DiskReport;
use crate::document::{Disk, parse_size_range};

/// Whether `found` is the disk that `disk` names: every condition must hold, and there must be one.
///
/// # Errors
/// One line, where a condition makes no sense.
pub(super) fn fits(disk: &Disk, found: &DiskReport) -> Result<bool, String> {
    if disk.device.is_none() && disk.matching.is_empty() {
        return Err("the Hardware says neither `device` nor `match`".to_owned());
    }
    let mut all = disk.device.as_ref().is_none_or(|device| is_at(found, device));
    for (key, wanted) in &disk.matching {
        all &= match key.as_str() {
            "wwn" => same(found.wwn.as_deref(), wanted),
            "serial" => same(found.serial.as_deref(), wanted),
            "type" => found.kind.eq_ignore_ascii_case(wanted.trim()),
            "path" => is_at(found, wanted),
            "size" => size_range(wanted)?.contains(&found.size_bytes),
            _ => return Err(format!("`match` has no key `{key}`: use wwn, serial, type, size or path")),
        };
    }
    Ok(all)
}

fn size_range(text: &str) -> Result<std::ops::RangeInclusive<u64>, String> {
    parse_size_range(text)
        .ok_or_else(|| format!("`{text}` is no size: write 400GB..1TB, ..1TB, 400GB.. or 400GB"))
}

fn same(found: Option<&str>, wanted: &str) -> bool {
    found.is_some_and(|found| found.trim().eq_ignore_ascii_case(wanted.trim()))
}

/// At this node or path; `*` stands for any characters.
fn is_at(found: &DiskReport, pattern: &str) -> bool {
    std::iter::once(&found.device).chain(&found.paths).any(|path| glob(pattern.trim(), path))
}

fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_of_a_match_must_hold() {
        let found = DiskReport {
            device: "/dev/sda".into(),
            paths: vec!["/dev/disk/by-path/pci-0000:00:1f.2-ata-1".into()],
            wwn: Some("0x5000C500".into()),
            serial: Some("S1".into()),
            size_bytes: 500_000_000_000,
            kind: "ssd".into(),
            ..DiskReport::default()
        };
        type Case =
            (Option<&'static str>, &'static [(&'static str, &'static str)], Result<bool, &'static str>);
        let cases: &[Case] = &[
            (Some("/dev/sda"), &[], Ok(true)),
            (Some("/dev/sdb"), &[], Ok(false)),
            (Some("/dev/disk/by-path/pci-0000:00:1f.2-ata-1"), &[], Ok(true)),
            (None, &[("wwn", "0x5000c500")], Ok(true)),
            (None, &[("serial", "S2")], Ok(false)),
            (None, &[("type", "ssd"), ("size", "400GB..1TB")], Ok(true)),
            (None, &[("type", "hdd"), ("size", "400GB..1TB")], Ok(false)),
            (None, &[("size", "..400GB")], Ok(false)),
            (None, &[("size", "465GiB..")], Ok(true)),
            (None, &[("size", "500GB")], Ok(true)),
            (None, &[("path", "/dev/disk/by-path/*-ata-1")], Ok(true)),
            (None, &[("path", "/dev/disk/by-path/*-ata-2")], Ok(false)),
            (None, &[("path", "*1f.2*")], Ok(true)),
            (Some("/dev/sda"), &[("serial", "S2")], Ok(false)),
            (None, &[("size", "big")], Err("`big` is no size: write 400GB..1TB, ..1TB, 400GB.. or 400GB")),
            (
                None,
                &[("colour", "red")],
                Err("`match` has no key `colour`: use wwn, serial, type, size or path"),
            ),
            (None, &[], Err("the Hardware says neither `device` nor `match`")),
        ];
        for (device, matching, expected) in cases {
            let disk = Disk {
                id: "a".into(),
                device: device.map(str::to_owned),
                matching: matching.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
                keep: false,
            };
            assert_eq!(fits(&disk, &found), expected.map_err(str::to_owned), "{device:?} {matching:?}");
        }
    }
}
