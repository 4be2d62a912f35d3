//! `local-disk-x86_64.efi`: what a UEFI machine without work is given. EDK2 that is told to load nothing asks by every other network protocol
//! first, for more than a minute; this GRUB looks for the boot loader on the machine's disks and starts it at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::TaskError;
use crate::run::capture;
use crate::workspace::Workspace;

/// What the server tells a GRUB that was loaded over the network, too. A script and not GRUB's embedded configuration: that one knows neither `for` nor
/// `if`.
const SCRIPT: &str = include_str!("../../../../bootcode-core/src/loader/local-disk.cfg");
const MODULES: &[&str] = &[
    "boot",
    "chain",
    "echo",
    "fat",
    "memdisk",
    "minicmd",
    "normal",
    "part_gpt",
    "part_msdos",
    "regexp",
    "sleep",
    "tar",
    "test",
    "true",
];
const GRUB: &str = "/usr/lib/grub/x86_64-efi";

/// Builds it into `target/osie`, from Debian's GRUB.
///
/// # Errors
/// When GRUB's tools are missing or refuse.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf, TaskError> {
    let dir = workspace.osie();
    let work = dir.join("local-disk.part");
    let made = image(&work).and_then(|draft| {
        let image = dir.join("local-disk-x86_64.efi");
        fs::rename(&draft, &image).map_err(TaskError::file("writing", &image))?;
        Ok(image)
    });
    let _ = fs::remove_dir_all(&work);
    made
}

/// Makes it in a directory of its own.
fn image(work: &Path) -> Result<PathBuf, TaskError> {
    // Where GRUB looks for its script, in the archive that the image carries.
    let tree = work.join("boot/grub");
    fs::create_dir_all(&tree).map_err(TaskError::file("making", &tree))?;
    let script = tree.join("grub.cfg");
    fs::write(&script, SCRIPT).map_err(TaskError::file("writing", &script))?;
    let (archive, image) = (work.join("memdisk.tar"), work.join("image.efi"));
    let mut tar = Command::new("tar");
    tar.args(["--format=ustar", "--owner=0", "--group=0", "--mtime=@0", "--directory"]).arg(work);
    capture(tar.arg("--create").arg("--file").arg(&archive).arg("boot"))?;

    let mut command = Command::new("grub-mkimage");
    command.args(["--format", "x86_64-efi", "--prefix", "(memdisk)/boot/grub", "--directory", GRUB]);
    command.arg("--memdisk").arg(&archive).arg("--output").arg(&image).args(MODULES);
    capture(&mut command)?;
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_an_x64_program_that_carries_the_script() {
        if !Path::new(GRUB).join("chain.mod").exists() {
            eprintln!("skipped: Debian's grub-efi-amd64-bin is not installed");
            return;
        }
        let target = tempfile::tempdir().unwrap();
        let workspace = Workspace { target: target.path().to_owned(), ..Workspace::locate() };
        fs::create_dir_all(workspace.osie()).unwrap();
        let bytes = fs::read(build(&workspace).unwrap()).unwrap();
        // The machine field follows the PE signature that the DOS header points to.
        let at = u32::from_le_bytes(bytes[0x3c..0x40].try_into().unwrap()) as usize;
        assert_eq!(&bytes[at..at + 6], b"PE\0\0\x64\x86");
        assert!(bytes.windows(SCRIPT.len()).any(|window| window == SCRIPT.as_bytes()));
        assert_eq!(fs::read_dir(workspace.osie()).unwrap().count(), 1, "nothing else is left");
    }
}
