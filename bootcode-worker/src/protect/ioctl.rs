//! The two calls of the kernel that have no safe wrapper.
#![allow(unsafe_code)]

use std::{fs::File, io, os::fd::AsRawFd as _};

use nix::libc::c_int;

/// `_IO(0x12, n)` of `linux/fs.h`: requests without direction and size, which yet take a pointer.
const BLKROSET: nix::libc::Ioctl = 0x125d as nix::libc::Ioctl;
const BLKROGET: nix::libc::Ioctl = 0x125e as nix::libc::Ioctl;

/// Lets the kernel refuse writes to a block device, or allow them.
pub(super) fn set_read_only(device: &File, read_only: bool) -> io::Result<()> {
    let flag = c_int::from(read_only);
    // SAFETY: the descriptor is open for the whole call; BLKROSET reads one int through the pointer, which `flag` is.
    let result = unsafe { nix::libc::ioctl(device.as_raw_fd(), BLKROSET, &raw const flag) };
    nix::errno::Errno::result(result).map(drop).map_err(io::Error::from)
}

/// Whether the kernel refuses writes to a block device.
pub(super) fn is_read_only(device: &File) -> io::Result<bool> {
    let mut flag: c_int = 0;
    // SAFETY: the descriptor is open for the whole call; BLKROGET writes one int through the pointer, which `flag` is.
    let result = unsafe { nix::libc::ioctl(device.as_raw_fd(), BLKROGET, &raw mut flag) };
    nix::errno::Errno::result(result).map_err(io::Error::from)?;
    Ok(flag != 0)
}
