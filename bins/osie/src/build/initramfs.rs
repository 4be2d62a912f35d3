//! What stands where in OSIE.

use super::cpio::{Archive, Entry};
use super::error::BuildError;
use super::kernel::Kernel;
use super::programs::Programs;
use super::runtime::Runtime;

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/false\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\ndisk:x:6:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// Puts everything together; gives the archive and how many modules are in it.
pub(super) fn assemble(
    kernel: &Kernel,
    runtime: &Runtime,
    programs: Programs,
) -> Result<(Archive, usize), BuildError> {
    let mut archive = Archive::default();
    for directory in ["dev", "etc", "mnt", "proc", "run", "sys", "usr/bin", "var/lib", "var/log"] {
        archive.add(directory, Entry::Directory { mode: 0o755 });
    }
    archive.add("root", Entry::Directory { mode: 0o700 });
    archive.add("tmp", Entry::Directory { mode: 0o1777 });
    archive.add("dev/console", Entry::Device { mode: 0o600, major: 5, minor: 1 });
    for (link, target) in
        [("bin", "usr/bin"), ("sbin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")]
    {
        archive.link(link, target);
    }
    archive.link("usr/sbin", "bin");
    archive.link("var/run", "/run");
    archive.link("etc/mtab", "/proc/self/mounts");
    archive.file("etc/passwd", 0o644, PASSWD);
    archive.file("etc/group", 0o644, GROUP);
    archive.file("etc/hosts", 0o644, HOSTS);
    archive.file("init", 0o755, programs.init);
    archive.file("usr/bin/bootcode-worker", 0o755, programs.worker);
    runtime.add_to(&mut archive)?;
    let modules = kernel.add_modules(&mut archive)?;
    Ok((archive, modules))
}
