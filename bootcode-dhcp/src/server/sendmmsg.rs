//! `sendmmsg(2)`. The wrapper of nix does not say how many were sent without reading memory that a send never wrote.
#![allow(unsafe_code)]

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsRawFd as _, BorrowedFd},
    ptr,
};

use nix::libc;

/// One ancillary message, laid out as cmsg(3) says: the header, then the data, padded to the header's alignment.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    info: libc::in_pktinfo,
}

/// Sends datagrams by the interface `index`, from the address `from` where it is not unspecified. How many were sent, at least one; the
/// first that was not is the reason to come again.
///
/// # Errors
/// Those of the first datagram; `WouldBlock` where the queue is full.
pub(super) fn send_many<'a>(
    socket: BorrowedFd<'_>,
    index: u32,
    from: Ipv4Addr,
    datagrams: impl Iterator<Item = (&'a [u8], SocketAddrV4)>,
) -> io::Result<usize> {
    let address = |ip: Ipv4Addr| libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
    let info = libc::in_pktinfo {
        ipi_ifindex: i32::try_from(index).unwrap_or(0),
        ipi_spec_dst: address(from),
        ipi_addr: address(Ipv4Addr::UNSPECIFIED),
    };
    // SAFETY: it computes a number from a number.
    let length = unsafe { libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) };
    let mut control = Control {
        header: libc::cmsghdr {
            cmsg_len: length as _,
            cmsg_level: libc::IPPROTO_IP,
            cmsg_type: libc::IP_PKTINFO,
        },
        info,
    };
    let (mut names, mut parts) = (Vec::new(), Vec::new());
    for (bytes, to) in datagrams {
        names.push(libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: to.port().to_be(),
            sin_addr: address(*to.ip()),
            sin_zero: [0; 8],
        });
        parts.push(libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() });
    }
    let control: *mut Control = &raw mut control;
    let mut headers: Vec<libc::mmsghdr> = names
        .iter_mut()
        .zip(&mut parts)
        .map(|(name, part)| {
            // SAFETY: a struct of integers and pointers, for which zero is a value.
            let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
            header.msg_name = ptr::from_mut(name).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_iov = part;
            header.msg_iovlen = 1;
            header.msg_control = control.cast();
            header.msg_controllen = size_of::<Control>() as _;
            libc::mmsghdr { msg_hdr: header, msg_len: 0 }
        })
        .collect();
    let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: `headers` holds `count` of them; names, parts, the bytes that parts point to and `control` live until it returns, and a send
    // writes to none of them.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
    match usize::try_from(sent) {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(sent) => Ok(sent),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
