//! `cargo xtask setup`: the Debian packages that the tasks need, each with the file that proves it is there.

use std::fs;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::docker;
use crate::error::TaskError;
use crate::kickstart;
use crate::run::{capture, has_program, run, step};
use crate::workspace::Workspace;

/// A Debian (or Ubuntu) package.
struct Package {
    name: &'static str,
    /// What shows that it is installed: a program's name, or an absolute path.
    proof: &'static str,
    why: &'static str,
}

/// What is going to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The lab, and what it builds.
    Lab,
    /// The tests, the lab among them.
    Tests,
    /// The benchmarks that have a peer.
    Bench,
}

const fn package(name: &'static str, proof: &'static str, why: &'static str) -> Package {
    Package { name, proof, why }
}

/// What the lab and its builds need.
const LAB: &[Package] = &[
    package("qemu-system-x86", "qemu-system-x86_64", "the blank machine"),
    package("ovmf", "/usr/share/OVMF/OVMF_CODE_4M.fd", "its UEFI firmware"),
    package("ipxe", "/usr/lib/ipxe/snponly.efi", "the boot programs that firmware loads over TFTP"),
    package("ipxe-qemu", "/usr/lib/ipxe/qemu/efi-virtio.rom", "the boot ROM of its network card under BIOS"),
    package(
        "grub-common",
        "grub-mkimage",
        "makes the program that starts the loader on a UEFI machine's disk",
    ),
    package("grub-efi-amd64-bin", "/usr/lib/grub/x86_64-efi/chain.mod", "its parts"),
    package("iproute2", "ip", "the lab's bridge and tap"),
    package("util-linux", "unshare", "the lab's own namespaces"),
    package("mmdebstrap", "mmdebstrap", "makes the Debian that is installed"),
    package("e2fsprogs", "/usr/sbin/debugfs", "ext4 tools for the images; reads the installed disk"),
    package("dosfstools", "/usr/sbin/mkfs.vfat", "FAT tools for the images"),
    package("kmod", "/usr/sbin/depmod", "the module list of OSIE"),
    package(
        "debian-archive-keyring",
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "signs the Debian that is installed",
    ),
    package("uidmap", "newuidmap", "makes it without being root"),
    package("zstd", "zstd", "compresses the Debian root"),
    package("dpkg", "dpkg-deb", "unpacks Debian packages without installing them"),
    package("apt", "apt-get", "downloads Debian packages"),
    package("gcc", "cc", "links programs, SQLite among them"),
    package("make", "make", "builds the server's allocator"),
    package("libc6-dev", "/usr/include/stdlib.h", "headers and static libc for what runs inside machines"),
];

/// What the tests need besides: peers that are not ours.
const TESTS: &[Package] = &[
    package("dnsmasq-base", "dnsmasq", "another DHCP server on the same wire"),
    package("busybox-static", "busybox", "udhcpc and tftp, independent clients; a container's whole content"),
    package("isc-dhcp-client", "/sbin/dhclient", "ISC's DHCP client, in every state"),
    package("isc-dhcp-relay", "/usr/sbin/dhcrelay", "a relay agent between client and server"),
    package("dhcpcd-base", "/usr/sbin/dhcpcd", "another DHCP client"),
    package("nmap", "nmap", "asks who serves DHCP"),
    package("crun", "crun", "the worker's container runtime, as OSIE has it"),
    package("curl", "curl", "an independent client of HTTP and TFTP"),
    package("wget", "wget", "another client of HTTP"),
    package("tftp-hpa", "tftp", "an independent TFTP client"),
    package("atftp", "atftp", "another, with windows"),
    package("skopeo", "skopeo", "an independent client of the image registry"),
    package("fdisk", "/usr/sbin/sfdisk", "MBR and GPT by another's hand"),
    package("gdisk", "/usr/sbin/sgdisk", "GPT by another's hand"),
    package("nftables", "nft", "loses packets, and translates addresses as a container's host does"),
    package("tcpdump", "tcpdump", "what really is on the wire"),
    package("golang-go", "go", "Go's own text/template, which templates are held against"),
    package(
        "golang-github-masterminds-sprig-dev",
        "/usr/share/gocode/src/github.com/Masterminds/sprig/functions.go",
        "its functions",
    ),
    package("cloud-init", "cloud-init", "configures machines from the metadata that are served"),
    package("netplan.io", "netplan", "writes its network configuration"),
    package("udev", "udevadm", "names its interfaces"),
    package("ignition", "ignition-validate", "reads the Ignition configuration that is served"),
    package("pxelinux", "/usr/lib/PXELINUX/pxelinux.0", "a boot loader that is not iPXE, under BIOS"),
    package("syslinux-common", "/usr/lib/syslinux/modules/bios/ldlinux.c32", "its parts"),
    package(
        "grub-efi-amd64-signed",
        "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
        "and one under UEFI",
    ),
    package("docker.io", "dockerd", "the worker on a real Docker engine"),
    package("strace", "strace", "counts the fsyncs of the store"),
    package("python3-pip", "pip3", "fetches pykickstart, which reads the kickstart files that are served"),
];

/// What benchmarks need: the peers, and the wire between them and the load.
const BENCH: &[Package] = &[
    package("kea-dhcp4-server", "kea-dhcp4", "the DHCP server that ours is measured beside"),
    package("nginx-light", "/usr/sbin/nginx", "the HTTP server that ours is measured beside"),
    package("dnsmasq-base", "dnsmasq", "the TFTP server that ours is measured beside"),
    package("nftables", "nft", "loses packets"),
    package("iproute2", "ip", "the wire between load and server"),
    package("util-linux", "taskset", "a core for each"),
];

/// What the tasks ask of setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// `--yes`, or nobody is there to ask.
    Given,
    /// Ask on the terminal.
    Ask,
}

impl Consent {
    /// `--yes` or no terminal means yes.
    pub(crate) fn from_flag(yes: bool) -> Self {
        if yes || !std::io::stdin().is_terminal() { Self::Given } else { Self::Ask }
    }
}

/// Installs every package that is missing for this purpose.
///
/// # Errors
/// [`TaskError::Missing`] when something is missing and may or can not be installed; it names the command that does.
pub(crate) fn packages(purpose: Purpose, consent: Consent) -> Result<(), TaskError> {
    let (first, tests): (&[Package], &[Package]) = match purpose {
        Purpose::Lab => (LAB, &[]),
        Purpose::Tests => (LAB, TESTS),
        Purpose::Bench => (BENCH, &[]),
    };
    let needed = || first.iter().chain(tests);
    let missing: Vec<&Package> = needed().filter(|package| !is_there(package.proof)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("These Debian packages are missing:");
    for package in &missing {
        println!("    {:<16} {}", package.name, package.why);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let refused = || TaskError::Missing {
        missing: names.join(", "),
        remedy: format!("sudo apt-get install --no-install-recommends {}", names.join(" ")),
    };
    if !has_program("apt-get") || (consent == Consent::Ask && !agreed()) {
        return Err(refused());
    }
    let Some(root) = Root::find() else { return Err(refused()) };
    step("install packages", || install(&root, &names))?;
    match needed().find(|package| !is_there(package.proof)) {
        None => Ok(()),
        Some(package) => Err(TaskError::Missing {
            missing: format!("{} (from the package {}, {})", package.proof, package.name, package.why),
            remedy: format!("sudo apt-get install --reinstall {}", package.name),
        }),
    }
}

/// Everything: packages, a Docker engine that answers, and a reader of kickstart files.
///
/// # Errors
/// What could not be set up, with the command that mends it.
pub(crate) fn everything(workspace: &Workspace, consent: Consent) -> Result<(), TaskError> {
    packages(Purpose::Tests, consent)?;
    println!("packages: all there");
    docker::ensure(workspace)?;
    kickstart::ensure(workspace)?;
    if !has_program("cargo-nextest") {
        println!("note: cargo-nextest is not installed; `cargo test` runs the tests instead");
    }
    Ok(())
}

fn is_there(proof: &str) -> bool {
    if proof.starts_with('/') { Path::new(proof).exists() } else { has_program(proof) }
}

fn agreed() -> bool {
    print!("Install them now with apt-get? [y/N] ");
    let mut answer = String::new();
    std::io::stdout().flush().is_ok()
        && std::io::stdin().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// How commands become root.
struct Root {
    sudo: bool,
}

impl Root {
    fn find() -> Option<Self> {
        let is_root = capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
        (is_root || has_program("sudo")).then_some(Self { sudo: !is_root })
    }

    fn command(&self, program: &str) -> Command {
        if !self.sudo {
            return Command::new(program);
        }
        let mut command = Command::new("sudo");
        command.arg(program);
        command
    }
}

fn install(root: &Root, names: &[&str]) -> Result<(), TaskError> {
    let fence = Fence::raise(root)?;
    let asleep = if names.contains(&"cloud-init") { keep_asleep(root) } else { Ok(()) };
    let result = asleep.and_then(|()| run(root.command("apt-get").arg("update"))).and_then(|()| {
        run(root
            .command("env")
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"])
            .args(["-o", "DPkg::Lock::Timeout=300"])
            .args(names))
    });
    fence.lower(root);
    result
}

/// cloud-init is here to be tried; it must not configure the developer's own machine at its next boot.
fn keep_asleep(root: &Root) -> Result<(), TaskError> {
    run(root.command("mkdir").args(["-p", "/etc/cloud"]))?;
    run(root.command("touch").arg("/etc/cloud/cloud-init.disabled"))
}

/// While it stands, packages that are installed start no services.
struct Fence {
    ours: bool,
}

const FENCE: &str = "/usr/sbin/policy-rc.d";

impl Fence {
    fn raise(root: &Root) -> Result<Self, TaskError> {
        if Path::new(FENCE).exists() {
            return Ok(Self { ours: false });
        }
        let draft = std::env::temp_dir().join(format!("bootcode-policy-rc.d-{}", std::process::id()));
        fs::write(&draft, "#!/bin/sh\nexit 101\n").map_err(TaskError::file("writing", &draft))?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))
            .map_err(TaskError::file("making executable", &draft))?;
        let copied = run(root.command("cp").arg("-p").arg(&draft).arg(FENCE));
        let _ = fs::remove_file(&draft);
        copied.map(|()| Self { ours: true })
    }

    fn lower(self, root: &Root) {
        if self.ours {
            let _ = root.command("rm").args(["-f", FENCE]).stdin(Stdio::null()).status();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_named_once_and_says_why() {
        let mut names: Vec<&str> = LAB.iter().chain(TESTS).map(|package| package.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(LAB.iter().chain(TESTS).all(|package| !package.why.is_empty()));
    }

    #[test]
    fn a_proof_is_a_program_in_the_path_or_a_file() {
        assert!(is_there("sh"));
        assert!(is_there("/bin/sh"));
        assert!(!is_there("bootcode-no-such-program"));
        assert!(!is_there("/bootcode/no/such/file"));
    }
}
