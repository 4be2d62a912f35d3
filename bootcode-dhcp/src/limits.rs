//! Bounds of everything that DHCP receives, keeps or sends, each with its reason.

use std::time::Duration;

/// Bytes of a received message; clients announce 1,500 at most, and jumbo frames end near 9,000. Longer is no DHCP.
pub const MESSAGE_MAX_BYTES: usize = 4096;
/// Bytes of the fixed fields and the magic cookie (RFC 2131 2): shorter is no DHCP.
pub const MESSAGE_MIN_BYTES: usize = 240;
/// Bytes of a reply, padded: BOOTP clients and relays drop shorter ones (RFC 1542 2.1).
pub const REPLY_MIN_BYTES: usize = 300;
/// Bytes that every client must take: a 576-byte datagram less 28 bytes of headers (RFC 2131 2).
pub const REPLY_DEFAULT_BYTES: usize = 548;
/// Bytes of our longest reply: what one Ethernet frame carries; fragments are not reassembled by firmware.
pub const REPLY_MAX_BYTES: usize = 1472;
/// Option 93 values kept of one client; EDK2 sends one, combined ROMs three.
pub const CLIENT_ARCHS: usize = 16;
/// Bytes of an option's text that reach the timeline.
pub const CLASS_TEXT_BYTES: usize = 128;
/// Bytes of a boot file that fit the header with the NUL that old ROMs need (RFC 2131 2: 128).
pub const BOOT_FILE_BYTES: usize = 127;
/// Seconds of the shortest lease: below it clients renew more often than a boot stage lasts.
pub const LEASE_MIN_S: u64 = 60;
/// Seconds of the longest lease; the value above it means "for ever" (RFC 2132 9.2).
pub const LEASE_MAX_S: u64 = 0xffff_fffe;
/// Bytes of the receive buffer. The kernel's default holds 166 requests; a hall that powers on together sends 10,000 in 100 ms.
pub const RECEIVE_BUFFER_BYTES: usize = 16 << 20;
/// How long look-ups may take. They come from memory; anything slower is a source that is away, and firmware asks again.
pub const LOOKUP: Duration = Duration::from_millis(500);
/// Pause after a failed receive, so that an interface that is down costs nothing.
pub const RECEIVE_RETRY: Duration = Duration::from_millis(200);
