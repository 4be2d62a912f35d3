//! Messages as bytes. `dhcproto` walks the options, behind guards; none of its types leaves this module.

mod decode;
mod encode;

pub use decode::{Malformed, Packet};
pub use encode::{Encoded, Reply, ReplyOption, ReplyType};

/// `op` of a request (RFC 2131 2).
pub(crate) const BOOTREQUEST: u8 = 1;
/// `op` of a reply.
pub(crate) const BOOTREPLY: u8 = 2;
/// `htype` of Ethernet.
pub(crate) const ETHERNET: u8 = 1;
/// The broadcast bit of `flags` (RFC 2131 2).
pub(crate) const BROADCAST: u16 = 0x8000;
/// The magic cookie before the options (RFC 2131 3).
pub(crate) const MAGIC: [u8; 4] = [99, 130, 83, 99];

/// Option codes by the names of IANA's registry.
pub mod code {
    #![allow(missing_docs)]
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DOMAIN_SERVER: u8 = 6;
    pub const HOSTNAME: u8 = 12;
    pub const DOMAIN_NAME: u8 = 15;
    pub const INTERFACE_MTU: u8 = 26;
    pub const BROADCAST_ADDRESS: u8 = 28;
    pub const NTP_SERVERS: u8 = 42;
    pub const VENDOR_SPECIFIC: u8 = 43;
    pub const REQUESTED_IP: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const PARAMETER_LIST: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const MAX_MESSAGE_SIZE: u8 = 57;
    pub const RENEWAL_TIME: u8 = 58;
    pub const REBINDING_TIME: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    pub const TFTP_SERVER_NAME: u8 = 66;
    pub const BOOT_FILE_NAME: u8 = 67;
    pub const USER_CLASS: u8 = 77;
    pub const RAPID_COMMIT: u8 = 80;
    pub const RELAY_AGENT: u8 = 82;
    pub const CLIENT_ARCH: u8 = 93;
    pub const CLIENT_MACHINE_ID: u8 = 97;
    pub const SUBNET_SELECTION: u8 = 118;
    pub const DOMAIN_SEARCH: u8 = 119;
    pub const CLASSLESS_ROUTES: u8 = 121;
    pub const IPXE: u8 = 175;
}
