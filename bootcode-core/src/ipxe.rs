//! iPXE scripts. No value from a document can add a line or a command: what does not fit into a word is refused.

use std::fmt::Write as _;

use crate::arch::Arch;

/// Between two attempts to load OSIE: time to read the line, and soon enough after a server has come back.
const RETRY_SECONDS: u32 = 10;

/// A value cannot stand in what is written for a boot loader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{value}` cannot stand in a boot script: it holds a space, a control character, `$`, `\\`, `#`, `|`, `&` or a quote"
)]
pub struct UnsafeValue {
    /// The value, shortened.
    pub value: String,
}

/// The script that starts OSIE.
///
/// `base_url` is the server's; `arch` picks the files; `arguments` are the kernel's, each one word. Where a file cannot be loaded it
/// fetches `again`, its own address, until it can: the server is asked anew each time, and a disk that may be half-written, or is
/// blank, is not booted because a server was restarting.
///
/// # Errors
/// [`UnsafeValue`] where an argument is no plain word.
pub fn osie(
    base_url: &str,
    arch: &str,
    hardware: &str,
    again: &str,
    arguments: &[String],
) -> Result<String, UnsafeValue> {
    check_word(arch)?;
    let begin = format!("echo Bootcode: {hardware} boots OSIE from {base_url}\n");
    load(&begin, base_url, arch, hardware, again, arguments)
}

/// The script that starts OSIE on a machine that nobody declared; iPXE itself knows which architecture that is.
///
/// # Errors
/// [`UnsafeValue`] where an argument is no plain word.
pub fn inventory(
    base_url: &str,
    mac: &str,
    again: &str,
    arguments: &[String],
) -> Result<String, UnsafeValue> {
    let begin = format!(
        "echo Bootcode: nobody declared {mac}: it boots OSIE from {base_url} for its inventory\n\
         set osie {}\niseq ${{buildarch}} arm64 && set osie {} ||\n",
        Arch::X86_64.name(),
        Arch::Aarch64.name()
    );
    load(&begin, base_url, "${osie}", mac, again, arguments)
}

/// From what is said at first to the boot, and around again.
fn load(
    begin: &str,
    base_url: &str,
    arch: &str,
    machine: &str,
    again: &str,
    arguments: &[String],
) -> Result<String, UnsafeValue> {
    for word in [base_url, machine, again].into_iter().chain(arguments.iter().map(String::as_str)) {
        check_word(word)?;
    }
    let mut script = format!("#!ipxe\n{begin}imgfree\n");
    let _ = writeln!(
        script,
        "kernel {base_url}/osie/vmlinuz-{arch} initrd=initramfs-{arch} {} || goto failed",
        arguments.join(" ")
    );
    let _ = writeln!(script, "initrd {base_url}/osie/initramfs-{arch} || goto failed");
    let _ = writeln!(script, "boot || goto failed");
    let _ = writeln!(script, ":failed");
    let _ =
        writeln!(script, "echo Bootcode: OSIE could not be loaded, see the server's timeline of {machine}");
    let _ = writeln!(script, "sleep {RETRY_SECONDS}");
    let _ = writeln!(script, "chain --replace {again} || goto failed");
    Ok(script)
}

/// The script that goes on to another one, elsewhere.
///
/// # Errors
/// [`UnsafeValue`] where the address is no plain word.
pub fn chain(url: &str) -> Result<String, UnsafeValue> {
    check_word(url)?;
    let again = format!("echo Bootcode: {url} could not be loaded\nsleep {RETRY_SECONDS}");
    Ok(format!("#!ipxe\n:again\nchain --replace {url} ||\n{again}\ngoto again\n"))
}

/// The script that leads an iPXE to its machine's: DHCP first, so that the server knows who asks. It ends: a machine that nobody declared goes
/// on with its boot order after the second refusal.
#[must_use]
pub fn autoexec(base_url: &str) -> String {
    let chain = format!("chain --replace {base_url}/ipxe/script/${{netX/mac}}/auto.ipxe ||");
    let failed = "echo Bootcode: no script for ${netX/mac}, see the server's timeline";
    format!(
        "#!ipxe\ndhcp || goto failed\n{chain}\nsleep {RETRY_SECONDS}\n{chain}\n:failed\n{failed}\nexit 1\n"
    )
}

/// The script that leaves iPXE, so that the firmware goes on with the next entry of its boot order.
///
/// UEFI's boot manager goes on only after an error, BIOS after any return; `exit 1` serves both.
#[must_use]
pub fn exit() -> String {
    "#!ipxe\necho Bootcode: the machine boots its own disk\nexit 1\n".to_owned()
}

/// The script that boots the first disk from iPXE itself (BIOS).
#[must_use]
pub fn sanboot() -> String {
    "#!ipxe\necho Bootcode: the machine boots its own disk\nsanboot --no-describe --drive 0x80 || exit 1\n"
        .to_owned()
}

/// Whether it is one plain word in the scripts of every boot loader.
pub(crate) fn check_word(word: &str) -> Result<(), UnsafeValue> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "$\\#|&\"'".contains(c);
    if word.is_empty() || word.chars().any(bad) {
        return Err(UnsafeValue { value: word.chars().take(60).collect() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_loads_kernel_and_initramfs_and_says_so_when_it_cannot() {
        let arguments = ["console=ttyS0,115200n8".to_owned(), "bootcode.worker=node-1".to_owned()];
        let again = "http://192.168.99.1:7080/ipxe/script/52:54:00:00:00:01/auto.ipxe";
        let script = osie("http://192.168.99.1:7080", "x86_64", "node-1", again, &arguments).unwrap();
        insta::assert_snapshot!(script, @r"
        #!ipxe
        echo Bootcode: node-1 boots OSIE from http://192.168.99.1:7080
        imgfree
        kernel http://192.168.99.1:7080/osie/vmlinuz-x86_64 initrd=initramfs-x86_64 console=ttyS0,115200n8 bootcode.worker=node-1 || goto failed
        initrd http://192.168.99.1:7080/osie/initramfs-x86_64 || goto failed
        boot || goto failed
        :failed
        echo Bootcode: OSIE could not be loaded, see the server's timeline of node-1
        sleep 10
        chain --replace http://192.168.99.1:7080/ipxe/script/52:54:00:00:00:01/auto.ipxe || goto failed
        ");
    }

    #[test]
    fn a_machine_that_nobody_declared_boots_for_its_inventory_what_its_own_architecture_runs() {
        let again = "http://192.168.99.1:7080/ipxe/script/52:54:00:00:00:01/auto.ipxe";
        let arguments = ["bootcode.inventory=TOKEN".to_owned()];
        let script = inventory("http://192.168.99.1:7080", "52:54:00:00:00:01", again, &arguments).unwrap();
        insta::assert_snapshot!(script, @r"
        #!ipxe
        echo Bootcode: nobody declared 52:54:00:00:00:01: it boots OSIE from http://192.168.99.1:7080 for its inventory
        set osie x86_64
        iseq ${buildarch} arm64 && set osie aarch64 ||
        imgfree
        kernel http://192.168.99.1:7080/osie/vmlinuz-${osie} initrd=initramfs-${osie} bootcode.inventory=TOKEN || goto failed
        initrd http://192.168.99.1:7080/osie/initramfs-${osie} || goto failed
        boot || goto failed
        :failed
        echo Bootcode: OSIE could not be loaded, see the server's timeline of 52:54:00:00:00:01
        sleep 10
        chain --replace http://192.168.99.1:7080/ipxe/script/52:54:00:00:00:01/auto.ipxe || goto failed
        ");
        assert!(inventory("http://h", "m", "http://h/s", &["a b".to_owned()]).is_err());
    }

    #[test]
    fn an_ipxe_without_a_script_is_led_to_its_machines_and_gives_up_at_last() {
        insta::assert_snapshot!(autoexec("http://192.168.99.1:7080"), @r"
        #!ipxe
        dhcp || goto failed
        chain --replace http://192.168.99.1:7080/ipxe/script/${netX/mac}/auto.ipxe ||
        sleep 10
        chain --replace http://192.168.99.1:7080/ipxe/script/${netX/mac}/auto.ipxe ||
        :failed
        echo Bootcode: no script for ${netX/mac}, see the server's timeline
        exit 1
        ");
    }

    #[test]
    fn a_script_elsewhere_is_tried_until_it_is_there() {
        insta::assert_snapshot!(chain("http://boot.example/a.ipxe").unwrap(), @r"
        #!ipxe
        :again
        chain --replace http://boot.example/a.ipxe ||
        echo Bootcode: http://boot.example/a.ipxe could not be loaded
        sleep 10
        goto again
        ");
        assert!(chain("http://boot.example/a.ipxe\nshell").is_err());
    }

    #[test]
    fn no_value_adds_a_line_or_a_command() {
        for word in ["a\nshell", "a b", "${net0/ip}", "a||shell", "a&&shell", "#x", "'x'", ""] {
            assert!(osie("http://h", "x86_64", "n", "http://h/s", &[word.to_owned()]).is_err(), "{word:?}");
        }
    }
}
