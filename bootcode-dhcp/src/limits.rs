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
/// Bytes of an option's text (host name, classes) that reach the timeline and the records of unknown machines.
pub const CLASS_TEXT_BYTES: usize = 128;
/// Bytes of a boot file that fit the header with the NUL that old ROMs need (RFC 2131 2: 128).
pub const BOOT_FILE_BYTES: usize = 127;
/// Seconds of the shortest lease: below it clients renew more often than a boot stage lasts.
pub const LEASE_MIN_S: u64 = 60;
/// Seconds of the longest lease; the value above it means "for ever" (RFC 2132 9.2).
pub const LEASE_MAX_S: u64 = 0xffff_fffe;
/// Bytes of the receive buffer. The kernel's default holds 166 requests; a hall that powers on together sends 10,000 in 100 ms.
pub const RECEIVE_BUFFER_BYTES: usize = 16 << 20;
/// Packets read before anything else has its turn; a burst is drained in as few turns as this allows.
pub const BURST: usize = 256;
/// Packets read by one system call, and replies sent by one: more save little, and the first of them waits for the last.
pub const AT_ONCE: usize = 32;
/// Questions of one port that wait for a slow source; a hall of 10,000 machines may ask at once, and each holds some 3 KiB.
pub const IN_FLIGHT: usize = 16_384;
/// Of these, how many of one client wait behind its first: firmware sends no second DISCOVER within a second.
pub const IN_FLIGHT_OF_CLIENT: usize = 4;
/// Clients whose rate is remembered at once on each port, in 24 bytes each; a newcomer takes the place of one that was quiet.
pub const THROTTLED: usize = 65_536;
/// Packets a second of one hardware address, and of one network address that is no declared relay's. A boot asks ten times in a minute.
pub const CLIENT_PER_S: u32 = 20;
/// Packets of one client at once: all stages of a boot, each of them repeated.
pub const CLIENT_BURST: u32 = 60;
/// Declared relay agents that are remembered as such: a campus has some hundred.
pub const RELAYS: usize = 4096;
/// How long a relay agent counts as declared after a look-up that found it so: documents change seldom, and a hall asks in bursts.
pub const RELAY_DECLARED: Duration = Duration::from_secs(60);
/// How often documents are asked whether a Network has turned authoritative, so that other servers are looked for.
pub const RIVAL_LOOK: Duration = Duration::from_secs(2);
/// How often other servers are looked for: one broadcast in ten minutes is nobody's burden.
pub const RIVAL_PERIOD: Duration = Duration::from_secs(600);
/// When it is looked again after a known one did not answer, or the search could not be sent.
pub const RIVAL_AGAIN: Duration = Duration::from_secs(60);
/// How long offers are waited for: dnsmasq pings an address for 3 s before it offers it, ISC's server for 1 s.
pub const RIVAL_WAIT: Duration = Duration::from_secs(5);
/// Searches in a row that another server leaves unanswered until it counts as gone.
pub const RIVAL_MISSES: u32 = 2;
/// How long another Bootcode, which answers no search, is silent until it counts as gone: two of its own searches, and some more.
pub const RIVAL_SILENT: Duration = Duration::from_secs(1500);
/// Other servers that are known on one wire; a forger of more fills neither memory nor the log.
pub const RIVALS: usize = 16;
/// How often an interface is looked at: whether it is still the one that the sockets are bound to, and its addresses.
pub const LINK_WATCH: Duration = Duration::from_secs(2);
/// How long a full send queue is waited for; the kernel keeps what arrives meanwhile.
pub const SEND_WAIT: Duration = Duration::from_millis(50);
/// How long look-ups may take. They come from memory; anything slower is a source that is away, and firmware asks again.
pub const LOOKUP: Duration = Duration::from_millis(500);
/// Bytes of a router solicitation that are read: its header and one option are 16; longer ones are of no machine that boots.
pub const SOLICITATION_MAX_BYTES: usize = 256;
/// How often documents are asked whether router solicitations are to be answered: an apply takes effect within a boot.
pub const SOLICITATION_LOOK: Duration = Duration::from_secs(2);
/// Pause after a failed receive, so that an interface that is down costs nothing.
pub const RECEIVE_RETRY: Duration = Duration::from_millis(200);
/// How long an offered address is held for its machine. EDK2 collects offers for 4 to 32 s before it asks for one (its windows double),
/// and a ROM that lost the reply asks again for a minute.
pub const OFFER_HELD: Duration = Duration::from_secs(120);
/// How long nobody gets an address that somebody else was found on. The wire is asked again after it; an hour is short enough for a pool
/// whose machines decline by mistake to mend itself, and long enough that no boot meets the same address twice.
pub const QUARANTINE: Duration = Duration::from_secs(3600);
/// How long after its lease ended a machine gets its address without the wire being asked: a boot's stages and a reinstallation.
pub const LEASE_RECENT: Duration = Duration::from_secs(600);
/// When a pool's address that was found reserved is looked at again, where no other is free.
pub const RESERVED_AGAIN: Duration = Duration::from_secs(60);
/// Addresses of one network that leases are remembered of: four times a /16, some 40 MiB.
pub const LEASE_ADDRESSES: usize = 1 << 18;
/// Reserved addresses that are passed over for one DISCOVER; the next one goes on behind them.
pub const RESERVED_SKIPPED: u32 = 1024;
/// Bytes of a client identifier that a lease notes: a DUID-UUID with its IAID has 23.
pub const CLIENT_ID_BYTES: usize = 64;
/// Changes of leases that wait for the store: a second of 12,000 machines. More are dropped, and the clients ask again.
pub const LEASE_QUEUE: usize = 16_384;
/// Changes of leases in one batch: each is an expectation and a write, of the 128 operations that a batch may have.
pub const LEASE_BATCH: usize = 64;
/// Batches that are written at once; an embedded store makes one transaction, with one fsync, of them.
pub const LEASE_BATCHES: usize = 4;
/// How long the store may take to write a batch. A client repeats its REQUEST after 4 s (RFC 2131 4.1).
pub const LEASE_WRITE: Duration = Duration::from_secs(2);
/// How often a store that is away is asked again.
pub const LEASE_RETRY: Duration = Duration::from_secs(1);
/// How often leases that ended and that no pool holds any more are deleted.
pub const LEASE_SWEEP: Duration = Duration::from_secs(3600);
/// Times that a batch is tried where another writer was first, or the answer was lost.
pub const LEASE_TRIES: u32 = 3;
/// Addresses that are asked about at once on one interface: 10,000 machines that power on together, and half as many again.
pub const PROBES: usize = 16_384;
/// When a probe is repeated, in case it was lost.
pub const PROBE_AGAIN: Duration = Duration::from_millis(100);
/// How long the wire may take to say who has an address. The shortest wait of firmware for its first offer is 1 s.
pub const PROBE_WAIT: Duration = Duration::from_millis(300);
/// Addresses that are found in use for one question before its client has to ask again.
pub const PROBE_TRIES: u32 = 8;
/// Bytes of an ARP frame or an echo that are looked at.
pub const PROBE_BYTES: usize = 128;
/// Frames that are taken before timers are looked at again.
pub const PROBES_HEARD: usize = 256;
