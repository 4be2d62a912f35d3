//! What GRUB and update-grub are told. Pure.

use std::cmp::Ordering;

/// What the menu starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boot<'a> {
    /// UUID of the file system that holds the kernels.
    pub(super) boot_uuid: &'a str,
    /// `/boot`, or nothing when the kernels' file system is mounted there.
    pub(super) prefix: &'a str,
    /// UUID of the root file system.
    pub(super) root_uuid: &'a str,
    /// Kernel versions, the newest first, each with its initrd where it has one.
    pub(super) kernels: &'a [Kernel],
    /// More arguments of the kernel.
    pub(super) arguments: &'a [String],
}

/// A kernel in `/boot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    /// `6.1.0-56-cloud-amd64`.
    pub(super) version: String,
    /// `initrd.img-6.1.0-56-cloud-amd64`, when there is one.
    pub(super) initrd: Option<String>,
}

/// Kernels among the names in `/boot`, the newest first.
pub(super) fn kernels(names: &[String]) -> Vec<Kernel> {
    let versions = names.iter().filter_map(|name| name.strip_prefix("vmlinuz-"));
    let mut kernels: Vec<_> = versions
        .filter(|version| !version.is_empty() && version.bytes().all(plain))
        .map(|version| {
            let fits = |name: &&String| {
                **name == format!("initrd.img-{version}") || **name == format!("initramfs-{version}.img")
            };
            Kernel { version: version.to_owned(), initrd: names.iter().find(fits).cloned() }
        })
        .collect();
    kernels.sort_by(|left, right| by_version(&right.version, &left.version));
    kernels
}

/// The whole `grub.cfg`.
pub(super) fn grub_cfg(boot: &Boot<'_>) -> String {
    let arguments: String = boot.arguments.iter().map(|argument| format!(" {}", quoted(argument))).collect();
    let mut text = format!(
        "# Written by install-grub; update-grub replaces it with its own.\n\
         set default=0\nset timeout=1\ninsmod part_gpt\ninsmod ext2\ninsmod fat\n\
         search --no-floppy --fs-uuid --set=root {}\n",
        boot.boot_uuid
    );
    for kernel in boot.kernels {
        text += &format!(
            "menuentry 'Linux {version}' {{\n\tlinux {prefix}/vmlinuz-{version} root=UUID={root} ro{arguments}\n",
            version = kernel.version,
            prefix = boot.prefix,
            root = boot.root_uuid,
        );
        if let Some(initrd) = &kernel.initrd {
            text += &format!("\tinitrd {}/{initrd}\n", boot.prefix);
        }
        text += "}\n";
    }
    text
}

/// `/etc/default/grub.d/50-bootcode.cfg`: update-grub of the installed system keeps what we chose.
pub(super) fn defaults(arguments: &[String]) -> String {
    let line = arguments.join(" ").replace('\'', r"'\''");
    format!(
        "# Written by install-grub from the machine's document.\nGRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX_DEFAULT=\nGRUB_CMDLINE_LINUX='{line}'\n"
    )
}

/// An argument that could end its line or start another.
pub(super) fn is_safe(argument: &str) -> bool {
    !argument.is_empty() && argument.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

fn quoted(argument: &str) -> String {
    if argument.bytes().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

const fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'-' | b'_' | b'=' | b',' | b':' | b'/' | b'+' | b'@' | b'%')
}

/// Numbers in names compare as numbers.
fn by_version(left: &str, right: &str) -> Ordering {
    let chunks = |text: &str| {
        let mut chunks: Vec<(u64, String)> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            let letters = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
            let (word, after) = after.split_at(letters);
            chunks.push((number.parse().unwrap_or(0), word.to_owned()));
            rest = after;
        }
        chunks
    };
    chunks(left).cmp(&chunks(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_newest_kernel_comes_first_with_its_own_initrd() {
        let found = kernels(&names(&[
            "config-6.1.0-9-amd64",
            "vmlinuz-6.1.0-9-amd64",
            "vmlinuz-6.1.0-56-amd64",
            "initrd.img-6.1.0-9-amd64",
            "initrd.img-6.1.0-56-amd64.old",
            "vmlinuz-",
            "vmlinuz-evil; x",
        ]));
        let short: Vec<_> = found.iter().map(|kernel| (&*kernel.version, kernel.initrd.as_deref())).collect();
        assert_eq!(short, [("6.1.0-56-amd64", None), ("6.1.0-9-amd64", Some("initrd.img-6.1.0-9-amd64"))]);
    }

    #[test]
    fn the_menu_names_file_systems_and_quotes_arguments() {
        let text = grub_cfg(&Boot {
            boot_uuid: "B",
            prefix: "/boot",
            root_uuid: "R",
            kernels: &kernels(&names(&["vmlinuz-6.1", "initrd.img-6.1"])),
            arguments: &names(&["console=ttyS0,115200n8", "a=$b", "it's"]),
        });
        assert!(text.contains("--set=root B\n"), "{text}");
        let line = r"linux /boot/vmlinuz-6.1 root=UUID=R ro console=ttyS0,115200n8 'a=$b' 'it'\''s'";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("\tinitrd /boot/initrd.img-6.1\n"), "{text}");
    }

    #[test]
    fn update_grub_gets_the_same_arguments() {
        let text = defaults(&names(&["console=ttyS0", "x='y'"]));
        assert!(text.contains("GRUB_CMDLINE_LINUX='console=ttyS0 x='\\''y'\\'''\n"), "{text}");
        assert!(is_safe("a=b c") && !is_safe("a\nb") && !is_safe(""));
    }
}
