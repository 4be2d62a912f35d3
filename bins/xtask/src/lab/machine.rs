//! The blank machine: QEMU with real firmware, an empty disk, and a second disk that nobody may touch.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::child::Child;
use super::dir::LabDir;
use super::loader;
use super::plan::{Accelerator, Firmware, LabFlags, MAC};
use super::qmp::Qmp;
use crate::error::TaskError;
use crate::interrupt::Interrupt;

/// 4 GiB: the disk that the machine's document selects. Sparse: it costs what is written.
const DISK_BYTES: u64 = 4 << 30;
/// 64 MiB, full of data: the disk that nothing selects.
const SECOND_DISK_BYTES: u64 = 64 << 20;
const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// A machine that runs.
#[derive(Debug)]
pub(crate) struct Machine {
    child: Child,
    qmp: PathBuf,
    console: PathBuf,
    /// The disk that is installed.
    pub disk: PathBuf,
    /// The disk that is not.
    pub second_disk: PathBuf,
}

impl Machine {
    /// Makes its disks. Nothing runs yet.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn make_disks(dir: &LabDir) -> Result<(PathBuf, PathBuf), TaskError> {
        let disk = dir.path("disk.raw");
        File::create(&disk)
            .and_then(|file| file.set_len(DISK_BYTES))
            .map_err(TaskError::file("writing", &disk))?;
        let second = dir.path("second.raw");
        fill(&second).map_err(TaskError::file("writing", &second))?;
        Ok((disk, second))
    }

    /// Switches it on.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub(crate) fn power_on(
        dir: &LabDir,
        flags: &LabFlags,
        accelerator: Accelerator,
    ) -> Result<Self, TaskError> {
        let firmware = flags.firmware;
        let (disk, second_disk) = (dir.path("disk.raw"), dir.path("second.raw"));
        let (qmp, console) = (dir.socket("qmp.sock"), dir.socket("console.sock"));
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-nodefaults", "-display", "none", "-name", "node-1", "-smp", "2"])
            .args(["-machine", "q35,graphics=off", "-m", &flags.memory.to_string()])
            .args(["-smbios", "type=1,manufacturer=Bootcode,product=Lab,serial=LAB0001"])
            .args(["-device", "virtio-rng-pci"]);
        match accelerator {
            Accelerator::Kvm => command.args(["-accel", "kvm", "-cpu", "host"]),
            Accelerator::Tcg => command.args(["-accel", "tcg,thread=multi"]),
        };
        drive(&mut command, "system", &disk, Some(2));
        drive(&mut command, "second", &second_disk, None);
        let card = format!("virtio-net-pci,netdev=wire,mac={MAC},bootindex=1");
        command.args(["-netdev", "tap,id=wire,ifname=tap0,script=no,downscript=no"]);
        match (firmware, flags.loader.rom_script(dir)?) {
            (Firmware::Bios, Some(script)) => {
                command.args(["-device", &format!("{card},romfile=")]);
                command.args(["-kernel", loader::ROM, "-initrd"]).arg(script);
            }
            // QEMU's own choice of ROM is iPXE.
            (Firmware::Bios, None) => {
                command.args(["-device", &card]);
            }
            // Without a ROM on the card the firmware's own network stack runs.
            (Firmware::Uefi | Firmware::UefiHttp, _) => {
                command.args(["-device", &format!("{card},romfile=")]);
                let variables = dir.path("OVMF_VARS.fd");
                fs::copy(OVMF_VARS, &variables).map_err(TaskError::file("copying", Path::new(OVMF_VARS)))?;
                let flash = "if=pflash,format=raw";
                command.args(["-drive", &format!("{flash},readonly=on,file={OVMF_CODE}")]);
                command.args(["-drive", &format!("{flash},file={}", variables.display())]);
            }
        }
        if firmware == Firmware::UefiHttp {
            for version in ["IPv4", "IPv6"] {
                let name = format!("name=opt/org.tianocore/{version}PXESupport,string=n");
                command.args(["-fw_cfg", &name]);
            }
        }
        command
            .arg("-chardev")
            .arg(format!(
                "socket,id=serial,path={},server=on,wait=off,logfile={}",
                console.display(),
                dir.path("serial.log").display()
            ))
            .args(["-serial", "chardev:serial", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", qmp.display()));
        let child = Child::start("qemu-system-x86_64", &mut command, &dir.path("qemu.log"))?;
        Ok(Self { child, qmp, console, disk, second_disk })
    }

    /// Whether it is still switched on; otherwise how QEMU ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.child.ended().map(|status| format!("QEMU ended ({status})"))
    }

    /// Presses Enter on its serial console, as somebody who wants to see the prompt.
    ///
    /// # Errors
    /// When QEMU does not take it.
    pub(crate) fn press_enter(&self) -> Result<(), TaskError> {
        UnixStream::connect(&self.console)
            .and_then(|mut console| console.write_all(b"\r"))
            .map_err(TaskError::file("writing to", &self.console))
    }

    /// Pulls the plug and puts it back.
    ///
    /// # Errors
    /// When QEMU does not do it.
    pub(crate) fn power_cycle(&self, interrupt: &Interrupt) -> Result<(), TaskError> {
        self.qmp(interrupt)?.execute("system_reset")
    }

    /// Runs something while the machine stands still, so that its disk does not change.
    ///
    /// # Errors
    /// When QEMU does not do it, or what that returns.
    pub(crate) fn frozen<T>(
        &self,
        interrupt: &Interrupt,
        work: impl FnOnce() -> Result<T, TaskError>,
    ) -> Result<T, TaskError> {
        let mut qmp = self.qmp(interrupt)?;
        qmp.execute("stop")?;
        let result = work();
        qmp.execute("cont")?;
        result
    }

    fn qmp(&self, interrupt: &Interrupt) -> Result<Qmp, TaskError> {
        // QEMU makes its socket a moment after its start.
        for _ in 0..50 {
            if self.qmp.exists() {
                break;
            }
            interrupt.pause(Duration::from_millis(100))?;
        }
        Qmp::connect(&self.qmp)
    }
}

fn drive(command: &mut Command, serial: &str, path: &Path, boot_index: Option<u8>) {
    // The host's crash safety is no concern of a lab: `unsafe` spares its flushes.
    let drive = format!("if=none,id={serial},format=raw,cache=unsafe,discard=unmap,file={}", path.display());
    let mut device = format!("virtio-blk-pci,drive={serial},serial={serial}");
    if let Some(index) = boot_index {
        device.push_str(&format!(",bootindex={index}"));
    }
    command.args(["-drive", &drive, "-device", &device]);
}

/// Every sector different from every other, and none blank.
fn fill(path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for sector in 0..SECOND_DISK_BYTES / 512 {
        let line = format!("second disk, sector {sector:>11}\n");
        for _ in 0..512 / line.len() {
            file.write_all(line.as_bytes())?;
        }
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_disk_is_full_of_data() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("second");
        fill(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), SECOND_DISK_BYTES);
    }
}
