//! The two calls on block devices that no crate wraps safely.
#![allow(unsafe_code)]

use std::{fs::File, os::fd::AsRawFd as _};

mod ioctl {
    nix::ioctl_write_ptr_bad!(blkdiscard, nix::request_code_none!(0x12, 119), [u64; 2]);
    nix::ioctl_none_bad!(blkflsbuf, nix::request_code_none!(0x12, 97));
}

/// `BLKDISCARD`: the device may forget these bytes.
pub(super) fn discard(file: &File, start: u64, bytes: u64) -> nix::Result<()> {
    let range = [start, bytes];
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the kernel reads exactly the two u64 of `range`.
    unsafe { ioctl::blkdiscard(file.as_raw_fd(), &range) }.map(drop)
}

/// `BLKFLSBUF`: writes the page cache of the device out and drops it, so that what is read next comes from the device.
pub(super) fn flush_buffers(file: &File) -> nix::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed; the call takes no argument.
    unsafe { ioctl::blkflsbuf(file.as_raw_fd()) }.map(drop)
}
