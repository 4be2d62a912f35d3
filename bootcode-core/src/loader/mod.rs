//! Configurations of boot loaders that are not iPXE: pxelinux and U-Boot (which reads the same), GRUB, and the kernel command line of a
//! Raspberry Pi's own loader.
//!
//! They load OSIE by the protocol and from the server that they themselves came from, so no address stands before a file's name. What cannot be
//! one word on any of these lines is refused, as in [`crate::ipxe`].

use std::fmt::Write as _;

use crate::{
    arch::Arch,
    ipxe::{UnsafeValue, check_word},
};

/// What GRUB runs on a machine that boots its own disk: it finds the disk's boot loader and starts it.
pub const GRUB_LOCAL_DISK: &str = include_str!("local-disk.cfg");

/// Tenths of a second after which pxelinux tries again where OSIE could not be loaded, instead of waiting at its prompt.
const PXELINUX_RETRY: u32 = 100;
/// How often GRUB tries, and how many seconds it waits after each; then the machine starts anew, and asks what holds by then.
const GRUB_TRIES: u32 = 6;
const GRUB_RETRY_SECONDS: u32 = 10;

/// `pxelinux.cfg/01-<mac>` that starts OSIE.
///
/// # Errors
/// [`UnsafeValue`] where an argument is no plain word.
pub fn pxelinux(machine: &str, arch: Arch, arguments: &[String]) -> Result<String, UnsafeValue> {
    let (machine, arguments, arch) = (word(machine)?, words(arguments)?, arch.name());
    let mut text =
        format!("# Bootcode: {machine} boots OSIE\nDEFAULT osie\nPROMPT 0\nTIMEOUT {PXELINUX_RETRY}\n");
    let _ = writeln!(text, "LABEL osie\nKERNEL /osie/vmlinuz-{arch}\nINITRD /osie/initramfs-{arch}");
    let _ = writeln!(text, "APPEND {}", arguments.join(" "));
    Ok(text)
}

/// `pxelinux.cfg/01-<mac>` of a machine that boots its own disk: it goes back to the firmware, which takes the next entry of its boot order.
#[must_use]
pub fn pxelinux_local() -> String {
    "# Bootcode: the machine boots its own disk\nDEFAULT local\nPROMPT 0\nLABEL local\nLOCALBOOT 0\n"
        .to_owned()
}

/// `grub.cfg-01-<mac>` that starts OSIE. `arch` is the machine's where that is known, else GRUB's own.
///
/// # Errors
/// [`UnsafeValue`] where an argument is no plain word.
pub fn grub(machine: &str, arch: Option<Arch>, arguments: &[String]) -> Result<String, UnsafeValue> {
    let (machine, arguments) = (word(machine)?, words(arguments)?);
    // In single quotes nothing is special to GRUB but the quote, which no word has.
    let arguments: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let mut text = format!("echo 'Bootcode: {machine} boots OSIE'\n");
    let _ = match arch {
        Some(arch) => writeln!(text, "set osie={}", arch.name()),
        None => writeln!(
            text,
            "set osie={}\nif [ \"$grub_cpu\" = arm64 ]; then set osie={}; fi",
            Arch::X86_64.name(),
            Arch::Aarch64.name()
        ),
    };
    let tries: Vec<String> = (1..=GRUB_TRIES).map(|n| n.to_string()).collect();
    let _ = writeln!(text, "for try in {}; do", tries.join(" "));
    let _ = writeln!(text, "  if linux /osie/vmlinuz-$osie {}; then", arguments.join(" "));
    let _ = writeln!(text, "    if initrd /osie/initramfs-$osie; then boot; fi\n  fi");
    let _ = writeln!(
        text,
        "  echo 'Bootcode: OSIE could not be loaded, see the timeline of {machine} on the server'"
    );
    let _ = writeln!(text, "  sleep {GRUB_RETRY_SECONDS}\ndone\nreboot");
    Ok(text)
}

/// `grub.cfg` of no machine, which leads GRUB to its machine's. Debian's, signed for Secure Boot, asks for no other name by itself.
#[must_use]
pub fn grub_any() -> String {
    format!(
        "configfile \"$prefix/grub.cfg-01-$net_default_mac\"\n\
         echo \"Bootcode: nothing to boot for $net_default_mac, see the server's timeline\"\n\
         sleep {GRUB_RETRY_SECONDS}\nexit\n"
    )
}

/// `cmdline.txt` for the kernel that a Raspberry Pi's own loader starts.
///
/// # Errors
/// [`UnsafeValue`] where an argument is no plain word.
pub fn command_line(arguments: &[String]) -> Result<String, UnsafeValue> {
    Ok(format!("{}\n", words(arguments)?.join(" ")))
}

fn word(word: &str) -> Result<&str, UnsafeValue> {
    check_word(word).map(|()| word)
}

fn words(words: &[String]) -> Result<&[String], UnsafeValue> {
    words.iter().try_for_each(|word| check_word(word)).map(|()| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments() -> Vec<String> {
        vec!["console=ttyS0,115200n8".to_owned(), "bootcode.worker=node-1".to_owned()]
    }

    #[test]
    fn pxelinux_and_u_boot_load_osie_from_where_they_came() {
        insta::assert_snapshot!(pxelinux("node-1", Arch::X86_64, &arguments()).unwrap(), @r"
        # Bootcode: node-1 boots OSIE
        DEFAULT osie
        PROMPT 0
        TIMEOUT 100
        LABEL osie
        KERNEL /osie/vmlinuz-x86_64
        INITRD /osie/initramfs-x86_64
        APPEND console=ttyS0,115200n8 bootcode.worker=node-1
        ");
    }

    #[test]
    fn grub_tries_for_a_minute_and_starts_the_machine_anew() {
        insta::assert_snapshot!(grub("node-1", Some(Arch::Aarch64), &arguments()).unwrap(), @r"
        echo 'Bootcode: node-1 boots OSIE'
        set osie=aarch64
        for try in 1 2 3 4 5 6; do
          if linux /osie/vmlinuz-$osie 'console=ttyS0,115200n8' 'bootcode.worker=node-1'; then
            if initrd /osie/initramfs-$osie; then boot; fi
          fi
          echo 'Bootcode: OSIE could not be loaded, see the timeline of node-1 on the server'
          sleep 10
        done
        reboot
        ");
        let own = grub("node-1", None, &arguments()).unwrap();
        assert!(
            own.contains("set osie=x86_64\nif [ \"$grub_cpu\" = arm64 ]; then set osie=aarch64; fi\n"),
            "{own}"
        );
    }

    #[test]
    fn a_command_line_is_one_line() {
        assert_eq!(command_line(&arguments()).unwrap(), "console=ttyS0,115200n8 bootcode.worker=node-1\n");
    }

    #[test]
    fn no_value_adds_a_line_a_word_or_a_command() {
        for value in ["a\nLABEL x", "a b", "a'b", "${x}", "$x", "a\\", "", "a\tb", "a\"b", "#x"] {
            let arguments = [value.to_owned()];
            assert!(pxelinux("m", Arch::X86_64, &arguments).is_err(), "{value:?}");
            assert!(grub("m", None, &arguments).is_err(), "{value:?}");
            assert!(command_line(&arguments).is_err(), "{value:?}");
            assert!(
                pxelinux(value, Arch::X86_64, &[]).is_err() && grub(value, None, &[]).is_err(),
                "{value:?}"
            );
        }
    }

    /// GRUB's own parser, where Debian's package is.
    #[test]
    fn grub_can_read_what_is_written_for_it() {
        let arguments = ["a=b;c".to_owned(), "x={y}".to_owned(), "z=*".to_owned(), "<>()".to_owned()];
        for text in [
            grub("node-1", Some(Arch::X86_64), &arguments).unwrap(),
            grub("node-1", None, &arguments).unwrap(),
            GRUB_LOCAL_DISK.to_owned(),
            grub_any(),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("grub.cfg");
            std::fs::write(&path, &text).unwrap();
            match std::process::Command::new("grub-script-check").arg(&path).output() {
                Ok(output) => assert!(output.status.success(), "{text}\n{output:?}"),
                Err(error) => eprintln!("skipped: grub-script-check: {error}"),
            }
        }
    }
}
