//! `/etc/fstab` of the installed system. Pure.

use crate::metadata::Format;

/// What fstab says of one file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) uuid: String,
    pub(super) place: Option<String>,
    pub(super) format: Format,
}

/// The whole file, shorter paths first, so that each is mounted upon what is there.
pub(super) fn fstab(mut lines: Vec<Line>) -> String {
    let depth = |line: &Line| match &line.place {
        Some(place) => place.split('/').filter(|part| !part.is_empty()).count(),
        None => usize::MAX,
    };
    lines.sort_by_key(depth);
    let mut text = "# Written by install-root-fs from the machine's layout.\n".to_owned();
    for Line { uuid, place, format } in lines {
        let place = place.as_deref().unwrap_or("none");
        let (options, pass) = match (format, place) {
            (Format::Swap, _) => ("sw", 0),
            (Format::Vfat, _) => ("umask=0077", 0),
            (Format::Ext4, "/") => ("errors=remount-ro", 1),
            (Format::Ext4, _) => ("defaults", 2),
        };
        text += &format!("UUID={uuid} {place} {} {options} 0 {pass}\n", format.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_system_has_its_line_and_swap_comes_last() {
        let line = |uuid: &str, place: Option<&str>, format| Line {
            uuid: uuid.to_owned(),
            place: place.map(ToOwned::to_owned),
            format,
        };
        let text = fstab(vec![
            line("s", None, Format::Swap),
            line("E-F", Some("/boot/efi"), Format::Vfat),
            line("h", Some("/home"), Format::Ext4),
            line("r", Some("/"), Format::Ext4),
        ]);
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "UUID=r / ext4 errors=remount-ro 0 1",
                "UUID=h /home ext4 defaults 0 2",
                "UUID=E-F /boot/efi vfat umask=0077 0 0",
                "UUID=s none swap sw 0 0",
            ]
        );
    }
}
