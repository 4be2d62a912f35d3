//! Which disks the document names. No I/O: a wrong answer here wipes the wrong disk.

use std::path::PathBuf;

use super::{BlockDisk, inventory::bare_wwn};
use crate::{layout::Size, metadata::DiskSpec};

/// A disk that may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its id in the document.
    pub id: String,
    /// Its name in the kernel.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// Why nothing is selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// The document selects none.
    #[error("the document selects no disk that may be written (`storage.disks`, without `keep: true`)")]
    Nothing,
    /// No disk fits.
    #[error("no disk fits `{id}` ({wanted}); this machine has: {present}")]
    NoneFits {
        /// Its id in the document.
        id: String,
        /// What the document says of it.
        wanted: String,
        /// What is there.
        present: String,
    },
    /// More than one fits.
    #[error("`{id}` ({wanted}) fits {fitting}: say more, so that exactly one disk fits")]
    Several {
        /// Its id in the document.
        id: String,
        /// What the document says of it.
        wanted: String,
        /// What fits.
        fitting: String,
    },
    /// Two ids, one disk.
    #[error("`{first}` and `{second}` both name /dev/{name}")]
    Twice {
        /// An id.
        first: String,
        /// Another.
        second: String,
        /// The disk.
        name: String,
    },
    /// A criterion that is not known or not readable.
    #[error(
        "`{id}`: `match.{key}: {value}` is not understood: wwn, serial, path, type (nvme, ssd, hdd), size (400GB..1TB)"
    )]
    Criterion {
        /// Its id in the document.
        id: String,
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Neither a node nor a criterion.
    #[error("`{id}` has neither `device` nor `match`: it would fit every disk")]
    Bare {
        /// Its id in the document.
        id: String,
    },
    /// Someone set it read-only.
    #[error(
        "`{id}` is /dev/{name}, which is read-only: the workflow did not select it, or the disk is write-protected"
    )]
    ReadOnly {
        /// Its id in the document.
        id: String,
        /// The disk.
        name: String,
    },
}

/// The disks that may be written, in the document's order. `resolve` gives the kernel's name of a node or link.
///
/// # Errors
/// Any entry that does not name exactly one writable disk; then nothing may be written.
pub fn select(
    specs: &[DiskSpec],
    disks: &[BlockDisk],
    resolve: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Selected>, SelectError> {
    let mut found: Vec<(&DiskSpec, &BlockDisk)> = Vec::new();
    for spec in specs {
        let disk = only(spec, disks, &resolve)?;
        if let Some((first, _)) = found.iter().find(|(_, other)| other.name == disk.name) {
            let (first, second) = (first.id.clone(), spec.id.clone());
            return Err(SelectError::Twice { first, second, name: disk.name.clone() });
        }
        found.push((spec, disk));
    }
    let writable: Vec<_> = found.into_iter().filter(|(spec, _)| !spec.keep).collect();
    if let Some((spec, disk)) = writable.iter().find(|(_, disk)| disk.read_only) {
        return Err(SelectError::ReadOnly { id: spec.id.clone(), name: disk.name.clone() });
    }
    if writable.is_empty() {
        return Err(SelectError::Nothing);
    }
    let selected = |(spec, disk): (&DiskSpec, &BlockDisk)| Selected {
        id: spec.id.clone(),
        name: disk.name.clone(),
        bytes: disk.bytes,
    };
    Ok(writable.into_iter().map(selected).collect())
}

impl Selected {
    /// Its node.
    #[must_use]
    pub fn node(&self) -> PathBuf {
        PathBuf::from("/dev").join(&self.name)
    }
}

fn only<'a>(
    spec: &DiskSpec,
    disks: &'a [BlockDisk],
    resolve: &impl Fn(&str) -> Option<String>,
) -> Result<&'a BlockDisk, SelectError> {
    if spec.device.is_none() && spec.matching.is_empty() {
        return Err(SelectError::Bare { id: spec.id.clone() });
    }
    let named = spec.device.as_deref().map(resolve);
    let mut fitting = Vec::new();
    for disk in disks {
        let by_name = named.as_ref().is_none_or(|name| name.as_deref() == Some(&*disk.name));
        let mut all = by_name;
        for (key, value) in &spec.matching {
            all &= fits(disk, key, value).ok_or_else(|| SelectError::Criterion {
                id: spec.id.clone(),
                key: key.clone(),
                value: value.clone(),
            })?;
        }
        if all {
            fitting.push(disk);
        }
    }
    let names = |disks: &mut dyn Iterator<Item = &BlockDisk>| {
        let texts: Vec<_> = disks.map(described).collect();
        if texts.is_empty() { "no disk at all".to_owned() } else { texts.join(", ") }
    };
    match fitting.as_slice() {
        [disk] => Ok(disk),
        [] => Err(SelectError::NoneFits {
            id: spec.id.clone(),
            wanted: wanted(spec),
            present: names(&mut disks.iter().filter(|disk| !disk.name.starts_with("loop"))),
        }),
        several => Err(SelectError::Several {
            id: spec.id.clone(),
            wanted: wanted(spec),
            fitting: names(&mut several.iter().copied()),
        }),
    }
}

/// `None`: the criterion is not understood.
fn fits(disk: &BlockDisk, key: &str, value: &str) -> Option<bool> {
    Some(match key {
        "serial" => disk.serial.as_deref() == Some(value.trim()),
        "wwn" => disk.wwn.as_deref() == Some(&*bare_wwn(value)),
        // Whole components, so that 0000:00:04.0 does not fit 0000:00:04.01.
        "path" if !value.trim_matches('/').is_empty() => {
            format!("{}/", disk.path).contains(&format!("/{}/", value.trim_matches('/')))
        }
        "type" => match value {
            "nvme" => disk.name.starts_with("nvme"),
            "hdd" => disk.rotational,
            "ssd" => !disk.rotational,
            _ => return None,
        },
        "size" => {
            let bound = |text: &str| match text.trim().parse() {
                Ok(Size::Bytes(bytes)) => Some(bytes),
                _ => None,
            };
            match value.split_once("..") {
                Some((low, high)) => {
                    let low = if low.trim().is_empty() { 0 } else { bound(low)? };
                    let high = if high.trim().is_empty() { u64::MAX } else { bound(high)? };
                    (low..=high).contains(&disk.bytes)
                }
                None => bound(value)? == disk.bytes,
            }
        }
        _ => return None,
    })
}

fn wanted(spec: &DiskSpec) -> String {
    let device = spec.device.iter().map(|device| format!("device {device}"));
    let matching = spec.matching.iter().map(|(key, value)| format!("{key} {value}"));
    device.chain(matching).collect::<Vec<_>>().join(", ")
}

fn described(disk: &BlockDisk) -> String {
    let serial = disk.serial.as_deref().map(|serial| format!(", serial {serial}")).unwrap_or_default();
    format!("/dev/{} ({} bytes{serial})", disk.name, disk.bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn disks() -> Vec<BlockDisk> {
        let disk = |name: &str, gib: u64, serial: &str| BlockDisk {
            name: name.to_owned(),
            bytes: gib << 30,
            serial: Some(serial.to_owned()),
            wwn: Some(format!("5000{serial}")),
            rotational: name == "sda",
            read_only: name == "vdb",
            path: format!("/sys/devices/pci0000:00/0000:00:0{gib}.0/block/{name}"),
        };
        vec![disk("nvme0n1", 8, "n1"), disk("sda", 6, "s1"), disk("vda", 4, "v1"), disk("vdb", 4, "v2")]
    }

    fn by(id: &str, matching: &[(&str, &str)]) -> DiskSpec {
        let matching: BTreeMap<_, _> =
            matching.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        DiskSpec { id: id.to_owned(), matching, ..DiskSpec::default() }
    }

    fn node(id: &str, device: &str) -> DiskSpec {
        DiskSpec { id: id.to_owned(), device: Some(device.to_owned()), ..DiskSpec::default() }
    }

    fn names(specs: &[DiskSpec]) -> Result<Vec<String>, SelectError> {
        let resolve = |device: &str| match device {
            "/dev/disk/by-id/one" => Some("nvme0n1".to_owned()),
            other => other.strip_prefix("/dev/").map(ToOwned::to_owned),
        };
        Ok(select(specs, &disks(), resolve)?.into_iter().map(|disk| disk.name).collect())
    }

    #[test]
    fn exactly_the_named_disks_are_selected() {
        for (spec, name) in [
            (node("a", "/dev/vda"), "vda"),
            (node("a", "/dev/disk/by-id/one"), "nvme0n1"),
            (by("a", &[("serial", "v1")]), "vda"),
            (by("a", &[("wwn", "naa.5000S1")]), "sda"),
            (by("a", &[("type", "nvme")]), "nvme0n1"),
            (by("a", &[("type", "hdd")]), "sda"),
            (by("a", &[("size", "5GiB..7GiB")]), "sda"),
            (by("a", &[("size", "7GiB..")]), "nvme0n1"),
            (by("a", &[("size", "6GiB")]), "sda"),
            (by("a", &[("size", "4GiB"), ("serial", "v1")]), "vda"),
            (by("a", &[("path", "0000:00:06.0")]), "sda"),
        ] {
            assert_eq!(names(std::slice::from_ref(&spec)), Ok(vec![name.to_owned()]), "{spec:?}");
        }
    }

    #[test]
    fn a_kept_disk_is_found_but_never_selected() {
        let kept = DiskSpec { keep: true, ..node("b", "/dev/sda") };
        assert_eq!(names(&[node("a", "/dev/vda"), kept.clone()]), Ok(vec!["vda".to_owned()]));
        assert_eq!(names(&[kept]), Err(SelectError::Nothing));
        assert_eq!(names(&[]), Err(SelectError::Nothing));
    }

    #[test]
    fn anything_doubtful_is_refused() {
        use SelectError as E;
        let fault = |specs: &[DiskSpec]| names(specs).unwrap_err();
        assert!(matches!(fault(&[node("a", "/dev/vdz")]), E::NoneFits { .. }));
        assert!(matches!(fault(&[node("a", "nonsense")]), E::NoneFits { .. }));
        assert!(matches!(fault(&[by("a", &[("size", "4GiB")])]), E::Several { .. }));
        assert!(matches!(fault(&[by("a", &[("path", "0000:00:06")])]), E::NoneFits { .. }));
        assert!(matches!(fault(&[by("a", &[("path", "/")])]), E::Criterion { .. }));
        assert!(matches!(fault(&[by("a", &[("colour", "red")])]), E::Criterion { .. }));
        assert!(matches!(fault(&[by("a", &[("size", "rest")])]), E::Criterion { .. }));
        assert!(matches!(fault(&[by("a", &[("type", "floppy")])]), E::Criterion { .. }));
        assert!(matches!(fault(&[by("a", &[])]), E::Bare { .. }));
        assert!(matches!(fault(&[node("b", "/dev/vdb")]), E::ReadOnly { .. }));
        assert!(matches!(fault(&[node("a", "/dev/vda"), by("b", &[("serial", "v1")])]), E::Twice { .. }));
        let both = DiskSpec { device: Some("/dev/sda".to_owned()), ..by("a", &[("serial", "v1")]) };
        assert!(matches!(fault(&[both]), E::NoneFits { .. }), "device and match must agree");
    }
}
