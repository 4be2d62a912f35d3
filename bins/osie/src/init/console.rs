//! Lines on the console, kept in the kernel's log too.

use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};

/// Writes `bootcode-init: LINE` to the console, and to the kernel's log at debug level so that `dmesg`
/// and a kernel-log receiver have it without the console showing it twice.
pub(super) fn say(line: impl Display) {
    let line = format!("bootcode-init: {line}\n");
    // A console that cannot be written to is no reason to stop.
    let _ = io::stdout().write_all(line.as_bytes());
    let _ = io::stdout().flush();
    if let Ok(mut log) = OpenOptions::new().write(true).open("/dev/kmsg") {
        let _ = log.write_all(format!("<7>{line}").as_bytes());
    }
}

/// Seconds since the kernel started, as far as `/proc` can tell.
pub(super) fn uptime() -> String {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

/// `AVAILABLE of TOTAL MiB` of RAM, as far as `/proc` can tell.
pub(super) fn memory() -> String {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let mib = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim_end_matches(" kB").trim().parse::<u64>().unwrap_or_default() / 1024
    };
    format!("{} of {} MiB", mib("MemAvailable:"), mib("MemTotal:"))
}
