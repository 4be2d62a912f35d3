//! Tinkerbell's functions for disks and addresses.

use std::net::Ipv4Addr;

use super::{Arguments, Function, Made, function};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("formatPartition DEVICE NUMBER", format_partition),
    function("netmaskToPrefixLength NETMASK", netmask_to_prefix_length),
];

/// The node of a disk's nth partition, by the kernel's and udev's rules: `/dev/sda1`, `/dev/nvme0n1p1`, `/dev/disk/by-id/x-part1`.
fn format_partition(a: &Arguments<'_>) -> Made {
    let device = a.text(0)?;
    let number = a.whole(1)?;
    if number < 1 {
        return a.refuse("partitions are counted from 1");
    }
    let between = if device.starts_with("/dev/disk/by-") {
        "-part"
    } else if device.ends_with(|c: char| c.is_ascii_digit()) {
        // A `p` stands between two numbers: nvme0n1p1, mmcblk0p1, loop0p1, nbd0p1.
        "p"
    } else {
        ""
    };
    a.make(format!("{device}{between}{number}"))
}

/// `"255.255.255.0"` is 24.
fn netmask_to_prefix_length(a: &Arguments<'_>) -> Made {
    let Ok(mask) = a.text(0)?.parse::<Ipv4Addr>() else {
        return a.refuse("this is no IPv4 netmask");
    };
    match ipnet::ipv4_mask_to_prefix(mask) {
        Ok(prefix) => Ok(Value::Int(prefix.into())),
        Err(_) => a.refuse("this netmask has a gap"),
    }
}
