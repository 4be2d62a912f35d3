//! A machine without work reaches the boot loader on its disk soon after its firmware's first DISCOVER.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::plan::MACHINE;
use super::provision::Lab;
use super::timeline;
use crate::error::TaskError;

/// From firmware's first DISCOVER to the loader's first line. EDK2 alone collects offers for 3.2 s of it.
const WITHIN_S: f64 = 10.0;
/// From power to the loader, after which it is not coming.
const PATIENCE: Duration = Duration::from_secs(300);
/// Finer than what is reported.
const POLL: Duration = Duration::from_millis(50);
/// What the server's own boot program says before it starts a loader that says the same as itself.
const DISK_LOADER: &str = "Bootcode: starting ";

pub(crate) const CHECK: &str =
    "without work the machine reaches its disk's boot loader within 10 s of its first DISCOVER";

/// Power-cycles the machine, and tells the seconds that it took.
///
/// # Errors
/// [`TaskError::Check`] when it took longer, or came to no loader.
pub(crate) fn check(lab: &Lab<'_>) -> Result<f64, TaskError> {
    let mark = lab.dir.text("serial.log").len();
    let cycled = Timestamp::now();
    println!("    power-cycling {MACHINE}, which has no work");
    lab.machine.power_cycle(&lab.interrupt)?;
    let start = Instant::now();
    let loader = loop {
        let serial = lab.dir.text("serial.log");
        if loader_speaks(&serial[serial.ceil_char_boundary(mark)..]) {
            break Timestamp::now();
        }
        if start.elapsed() > PATIENCE {
            let found = format!("no loader within {} s of the power cycle", PATIENCE.as_secs());
            return Err(TaskError::Check { check: CHECK, found });
        }
        lab.interrupt.pause(POLL)?;
    };
    let events = lab.server.operator().events(MACHINE)?;
    lab.dir.write("timeline-local-boot.txt", &lab.server.operator().timeline(MACHINE)?)?;
    let discover = events.iter().find(|event| event.at > cycled && event.event == "Discover");
    let Some(discover) = discover else {
        return Err(TaskError::Check { check: CHECK, found: "the machine sent no DISCOVER".into() });
    };
    let seconds = timeline::seconds(discover.at, loader);
    if seconds > WITHIN_S {
        return Err(TaskError::Check { check: CHECK, found: format!("{seconds} s") });
    }
    println!("    {seconds} s from its first DISCOVER to its disk's boot loader");
    Ok(seconds)
}

/// Whether the disk's GRUB has said a word.
fn loader_speaks(serial: &str) -> bool {
    let since = serial.find(DISK_LOADER).map(|at| &serial[at..]);
    let uefi = since.is_some_and(|since| since.contains("Welcome to GRUB!"));
    // Its boot sector under BIOS; its core where firmware, which names what it loads, came to the disk by itself.
    let by_itself = !serial.contains("local-disk-x86_64.efi");
    uefi || serial.contains("GRUB loading") || (by_itself && serial.contains("Welcome to GRUB!"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_on_the_disk_is_told_from_the_one_over_the_network() {
        let cases = [
            ("SeaBIOS\r\nBooting from ROM...", false),
            ("Booting from Hard Disk...\r\nGRUB loading.", true),
            ("BdsDxe: starting\r\nWelcome to GRUB!", true),
            ("NBP filename is osie/local-disk-x86_64.efi\r\nWelcome to GRUB!", false),
            (
                "osie/local-disk-x86_64.efi\r\nWelcome to GRUB!\r\nBootcode: this machine boots its own disk\r\n",
                false,
            ),
            (
                "osie/local-disk-x86_64.efi\r\nWelcome to GRUB!\r\nBootcode: this machine boots its own disk\r\nBootcode: starting (hd0,gpt2)",
                false,
            ),
            (
                "osie/local-disk-x86_64.efi\r\nWelcome to GRUB!\r\nBootcode: this machine boots its own disk\r\nBootcode: starting x\r\nWelcome to GRUB!",
                true,
            ),
        ];
        for (serial, expected) in cases {
            assert_eq!(loader_speaks(serial), expected, "{serial:?}");
        }
    }
}
