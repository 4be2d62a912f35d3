//! Where each partition lies.

use std::collections::BTreeSet;

use super::{Size, SizeParseError};
use crate::{
    limits,
    metadata::{Format, Kind, Partition},
};

/// A partition with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// From 1.
    pub number: u32,
    /// What the document says of it.
    pub spec: Partition,
    /// Its first sector.
    pub first_lba: u64,
    /// Its last sector.
    pub last_lba: u64,
}

/// Why a layout cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// No partitions.
    #[error("the layout has no partitions")]
    Empty,
    /// More than a table holds.
    #[error("the layout has {count} partitions, a table holds {}", limits::PARTITIONS)]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A size that is none.
    #[error("partition `{id}`: {source}")]
    Size {
        /// Its id.
        id: String,
        /// What is wrong.
        #[source]
        source: SizeParseError,
    },
    /// Smaller than the alignment.
    #[error("partition `{id}` is smaller than 1 MiB")]
    Small {
        /// Its id.
        id: String,
    },
    /// `rest` twice.
    #[error("`{first}` and `{second}` both take the rest of the disk")]
    TwoRests {
        /// An id.
        first: String,
        /// Another.
        second: String,
    },
    /// The disk is too small.
    #[error("the layout needs {needed} bytes, the disk has {present}")]
    DiskTooSmall {
        /// Bytes with both tables and alignment.
        needed: u64,
        /// Bytes of the disk.
        present: u64,
    },
    /// An id, a mount point twice.
    #[error("`{value}` stands twice as {key} in the layout")]
    Twice {
        /// `id` or `mount`.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// An id that cannot name a partition.
    #[error("partition `{id}`: an id has 1 to 36 letters, digits, dots, dashes or underscores")]
    Id {
        /// Its id.
        id: String,
    },
    /// A mount point that is none.
    #[error(
        "partition `{id}`: `mount: {mount}` is not an absolute path without `..`, blanks and backslashes"
    )]
    Mount {
        /// Its id.
        id: String,
        /// What was given.
        mount: String,
    },
    /// A format that does not go with the type.
    #[error("partition `{id}`: {rule}")]
    Format {
        /// Its id.
        id: String,
        /// What holds.
        rule: &'static str,
    },
    /// A label that is too long for its file system.
    #[error("partition `{id}`: a label of this format has at most {most} printable ASCII characters")]
    Label {
        /// Its id.
        id: String,
        /// How many.
        most: usize,
    },
}

/// GPT's header and 128 entries, at each end (UEFI 5.3): 34 sectors of 512 bytes, fewer and larger ones otherwise.
const TABLE_BYTES: u64 = 34 * 512;

/// Lays the partitions out in their order, each at a multiple of 1 MiB.
///
/// # Errors
/// See [`LayoutError`].
pub fn plan(layout: &[Partition], disk_bytes: u64, sector_bytes: u64) -> Result<Vec<Planned>, LayoutError> {
    check(layout)?;
    let mut rest: Option<&str> = None;
    let mut sizes = Vec::with_capacity(layout.len());
    let mut needed: u64 = 0;
    for spec in layout {
        let id = || spec.id.clone();
        let size = spec.size.parse().map_err(|source| LayoutError::Size { id: id(), source })?;
        match size {
            Size::Bytes(bytes) if bytes < limits::ALIGNMENT_BYTES => {
                return Err(LayoutError::Small { id: id() });
            }
            Size::Bytes(bytes) => needed = needed.saturating_add(aligned_up(bytes)),
            Size::Rest => match rest {
                Some(first) => return Err(LayoutError::TwoRests { first: first.to_owned(), second: id() }),
                None => rest = Some(&spec.id),
            },
        }
        sizes.push(size);
    }
    let usable = aligned_down(disk_bytes.saturating_sub(TABLE_BYTES.max(5 * sector_bytes)))
        .saturating_sub(limits::ALIGNMENT_BYTES);
    let least = if rest.is_some() { limits::ALIGNMENT_BYTES } else { 0 };
    if needed.saturating_add(least) > usable {
        let needed = needed.saturating_add(least).saturating_add(2 * limits::ALIGNMENT_BYTES);
        return Err(LayoutError::DiskTooSmall { needed, present: disk_bytes });
    }
    let mut at = limits::ALIGNMENT_BYTES;
    let mut planned = Vec::with_capacity(layout.len());
    for ((number, spec), size) in (1..).zip(layout).zip(sizes) {
        let bytes = match size {
            Size::Bytes(bytes) => aligned_up(bytes),
            Size::Rest => usable - needed,
        };
        let (first_lba, last_lba) = (at / sector_bytes, (at + bytes) / sector_bytes - 1);
        planned.push(Planned { number, spec: spec.clone(), first_lba, last_lba });
        at += bytes;
    }
    Ok(planned)
}

impl Planned {
    /// What is made on it: what the document says, or what its type implies.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        implied(&self.spec)
    }
}

fn implied(spec: &Partition) -> Option<Format> {
    spec.format.or(match spec.kind {
        Kind::Esp => Some(Format::Vfat),
        Kind::Swap => Some(Format::Swap),
        Kind::BiosBoot | Kind::Linux => None,
    })
}

fn check(layout: &[Partition]) -> Result<(), LayoutError> {
    if layout.is_empty() {
        return Err(LayoutError::Empty);
    }
    if layout.len() > limits::PARTITIONS {
        return Err(LayoutError::TooMany { count: layout.len() });
    }
    let (mut ids, mut mounts) = (BTreeSet::new(), BTreeSet::new());
    for spec in layout {
        let id = || spec.id.clone();
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if spec.id.is_empty() || spec.id.len() > 36 || !spec.id.bytes().all(letters) {
            return Err(LayoutError::Id { id: id() });
        }
        if !ids.insert(&spec.id) {
            return Err(LayoutError::Twice { key: "id", value: id() });
        }
        if let Some(mount) = &spec.mount {
            let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
            let parts_ok = mount.split('/').all(|part| part != ".." && part != ".");
            if !mount.starts_with('/') || !mount.bytes().all(plain) || !parts_ok {
                return Err(LayoutError::Mount { id: id(), mount: mount.clone() });
            }
            if !mounts.insert(mount.trim_end_matches('/')) {
                return Err(LayoutError::Twice { key: "mount", value: mount.clone() });
            }
        }
        let rule = match (spec.kind, implied(spec), &spec.mount) {
            (Kind::BiosBoot, Some(_), _) => "a bios-boot partition has no file system",
            (Kind::Esp, Some(Format::Ext4 | Format::Swap), _) => "firmware reads only vfat on an esp",
            (Kind::Swap, Some(Format::Ext4 | Format::Vfat), _) => "a swap partition has `format: swap`",
            (Kind::Linux, Some(Format::Swap), _) => "swap space has `type: swap`",
            (Kind::BiosBoot | Kind::Swap, _, Some(_)) => "this type cannot be mounted",
            (_, None, Some(_)) => "what is mounted needs a `format`",
            _ => "",
        };
        if !rule.is_empty() {
            return Err(LayoutError::Format { id: id(), rule });
        }
        let most = if implied(spec) == Some(Format::Vfat) { 11 } else { 15 };
        let graphic =
            |label: &String| label.bytes().all(|byte| byte.is_ascii_graphic()) && !label.starts_with('-');
        if spec.label.as_ref().is_some_and(|label| label.len() > most || !graphic(label)) {
            return Err(LayoutError::Label { id: id(), most });
        }
    }
    Ok(())
}

const fn aligned_up(bytes: u64) -> u64 {
    bytes.div_ceil(limits::ALIGNMENT_BYTES).saturating_mul(limits::ALIGNMENT_BYTES)
}

const fn aligned_down(bytes: u64) -> u64 {
    bytes / limits::ALIGNMENT_BYTES * limits::ALIGNMENT_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str) -> Vec<Partition> {
        serde_json::from_str(text).unwrap()
    }

    fn lab() -> Vec<Partition> {
        layout(
            r#"[{"id": "bios", "size": "1MiB", "type": "bios-boot"}, {"id": "esp", "size": "64MiB", "type": "esp"},
                {"id": "root", "size": "rest", "type": "linux", "format": "ext4", "mount": "/"},
                {"id": "swap", "size": "100MB", "type": "swap"}]"#,
        )
    }

    #[test]
    fn partitions_follow_each_other_at_whole_mebibytes() {
        for sector in [512, 4096] {
            let planned = plan(&lab(), 4 << 30, sector).unwrap();
            let places: Vec<_> =
                planned.iter().map(|part| (part.number, (part.first_lba * sector) >> 20)).collect();
            // 100 MB are 96 MiB rounded up; the last MiB belongs to the backup table.
            assert_eq!(places, [(1, 1), (2, 2), (3, 66), (4, 4095 - 96)]);
            for pair in planned.windows(2) {
                assert_eq!(pair[0].last_lba + 1, pair[1].first_lba);
            }
            assert_eq!((planned[3].last_lba + 1) * sector, 4095 << 20);
            assert_eq!(planned[1].format(), Some(Format::Vfat), "implied by the type");
        }
    }

    #[test]
    fn a_layout_that_cannot_be_is_refused_with_its_reason() {
        use LayoutError as E;
        let fault = |text: &str| plan(&layout(text), 1 << 30, 512).unwrap_err();
        let part = |fields: &str| format!(r#"[{{"id": "a", "type": "linux", {fields}}}]"#);
        assert!(matches!(fault("[]"), E::Empty));
        assert!(matches!(fault(&part(r#""size": "2GiB""#)), E::DiskTooSmall { .. }));
        assert!(matches!(fault(&part(r#""size": "18446744073709551615B""#)), E::DiskTooSmall { .. }));
        assert!(matches!(fault(&part(r#""size": "1 parsec""#)), E::Size { .. }));
        assert!(matches!(fault(&part(r#""size": "4KiB""#)), E::Small { .. }));
        assert!(matches!(fault(&part(r#""size": "rest", "mount": "/""#)), E::Format { .. }));
        assert!(matches!(fault(&part(r#""size": "rest", "format": "swap""#)), E::Format { .. }));
        assert!(matches!(
            fault(&part(r#""size": "rest", "format": "ext4", "mount": "/a/../b""#)),
            E::Mount { .. }
        ));
        assert!(matches!(
            fault(&part(r#""size": "rest", "format": "ext4", "mount": "root""#)),
            E::Mount { .. }
        ));
        assert!(matches!(
            fault(&part(r#""size": "rest", "format": "ext4", "label": "-O journal""#)),
            E::Label { .. }
        ));
        let two =
            r#"[{"id": "a", "size": "rest", "type": "linux"}, {"id": "b", "size": "rest", "type": "linux"}]"#;
        assert!(matches!(fault(two), E::TwoRests { .. }));
        assert!(matches!(fault(&two.replace("\"b\"", "\"a\"")), E::Twice { .. } | E::TwoRests { .. }));
        assert!(matches!(fault(&two.replace("\"a\"", "\"a b\"")), E::Id { .. }));
        assert!(matches!(
            plan(&lab(), 160 << 20, 512).unwrap_err(),
            E::DiskTooSmall { present, .. } if present == 160 << 20
        ));
    }
}
