//! Bounds of everything that is received, kept or sent, each with its reason.

use std::time::Duration;

/// Bytes of a request datagram. RFC 2347 allows 512; some ROMs pad, and a longer one is no request.
pub const REQUEST_BYTES: usize = 1500;
/// Transfers at once: ten thousand machines of one power cut, a socket each (see `ulimit -n`).
pub const TRANSFERS: usize = 10_000;
/// Receive buffer of the listening socket: a thousand requests at once overflow the usual 208 KiB.
pub const LISTEN_BUFFER_BYTES: usize = 8 << 20;
/// `blksize`, the smallest and largest of RFC 2348.
pub const BLKSIZE: std::ops::RangeInclusive<u64> = 8..=65464;
/// `windowsize`: the knee of RFC 7440's own measurements, and what one segmented send carries.
pub const WINDOWSIZE: u64 = 64;
/// Bytes of one window, however large its blocks: what a transfer may keep in memory.
pub const WINDOW_BYTES: u64 = 256 << 10;
/// Bytes read from a file at once where the window is smaller; a typical network boot program is read in one to three.
pub const READ_AHEAD_BYTES: usize = 64 << 10;
/// Bytes of a file that is sent as netascii; it is converted in memory, and text files are small.
pub const NETASCII_BYTES: u64 = 1 << 20;
/// The first retransmission, before a round trip was measured.
pub const RTO_INITIAL: Duration = Duration::from_millis(500);
/// The shortest retransmission: above the scheduling jitter of busy clients, so that nothing is resent without loss.
pub const RTO_MIN: Duration = Duration::from_millis(50);
/// The longest retransmission: below the 4 s and more after which firmware asks again.
pub const RTO_MAX: Duration = Duration::from_secs(4);
/// Silence after which a client is given up; firmware gives up after 6 times 4 s at most.
pub const SILENCE: Duration = Duration::from_secs(30);
/// Packets of one client that wait for its transfer at a shared port: a client answers a window once, and repeats itself.
pub const INBOX_PACKETS: usize = 16;
/// How long the server's end waits for its transfers; each is told at once, and only a disk that hangs takes longer.
pub const SHUTDOWN: Duration = Duration::from_secs(2);
/// How long a file source may take to open a file before the client is told that it failed.
pub const OPEN: Duration = Duration::from_secs(10);

/// Bytes of one chunk of an HTTP body: measured, larger chunks are no faster.
#[cfg(feature = "http")]
pub const HTTP_CHUNK_BYTES: usize = 1 << 20;
/// Bytes at the end of a body that are always read, and so checked before they are sent: a file that changed while the connection sent it by itself
/// never comes to its end.
#[cfg(feature = "http")]
pub const HTTP_TAIL_BYTES: usize = 64 << 10;
/// From how many bytes on a connection sends by itself what is in memory: below, copying is as quick.
#[cfg(feature = "http")]
pub const HTTP_SEALED_BYTES: u64 = 16 << 10;
/// Bytes of files that one connection sends by itself before others have their turn: less than a millisecond.
#[cfg(feature = "http")]
pub const HTTP_TURN_BYTES: usize = 2 << 20;
/// Ranges of one request: installers and zsync-like tools ask for some tens; a header has room for thousands.
#[cfg(feature = "http")]
pub const HTTP_RANGES: usize = 64;
/// Bytes of a file name before percent-decoding: every byte of a [`FileName`](bootcode_core::files::FileName) as `%xx`.
#[cfg(feature = "http")]
pub const HTTP_PATH_BYTES: usize = 3 * bootcode_core::limits::FILE_NAME_BYTES;

/// From how many bytes on a download is large: kernels, initramfses and boot programs are smaller.
#[cfg(feature = "http")]
pub const LARGE_BYTES: u64 = 256 << 20;
/// Large downloads at once: about 50 MB/s each of a 25 Gb/s link; more at once would all be slower, and none earlier.
#[cfg(feature = "http")]
pub const LARGE_DOWNLOADS: usize = 64;
/// Bytes that a large download gets now and then while it waits: some, and so few that a thousand that wait are 1 Mb/s.
#[cfg(feature = "http")]
pub const SIP_BYTES: u64 = 256;
/// How often it gets them: EDK2's HTTP gives up after 5 s without a byte by default, others later.
#[cfg(feature = "http")]
pub const SIP_EVERY: Duration = Duration::from_secs(2);
/// Bytes that go at once where large downloads have a rate: 10 ms of it, but not so few that disk and packets are used badly, nor so many
/// that 64 downloads at 1 Mb/s wait longer than firmware does.
#[cfg(feature = "http")]
pub const PACE_QUANTUM_BYTES: std::ops::RangeInclusive<u64> = 8 << 10..=1 << 20;
/// How late a grant may be used without being lost: what timers and busy hosts are late.
#[cfg(feature = "http")]
pub const PACE_BURST: Duration = Duration::from_millis(50);
/// Bytes of `index.json` and of a manifest, the bound that the distribution specification asks registries for.
#[cfg(feature = "registry")]
pub const MANIFEST_BYTES: u64 = 4 << 20;
/// Bytes of a repository's name (the specification: host and name below 255).
#[cfg(feature = "registry")]
pub const REPOSITORY_BYTES: usize = 255;
/// Bytes of a tag, from the specification's grammar.
#[cfg(feature = "registry")]
pub const TAG_BYTES: usize = 128;
/// Blobs whose digest is remembered as verified; past it the oldest knowledge is dropped and checked again.
#[cfg(feature = "registry")]
pub const VERIFIED_BLOBS: usize = 4096;
/// Bytes of the file that remembers them: four times what all of them take.
#[cfg(feature = "registry")]
pub const VERIFIED_BYTES: u64 = 2 << 20;
/// Uploads at once: `skopeo copy` and `docker push` send three to six layers in parallel, so ten operators.
#[cfg(feature = "registry")]
pub const UPLOADS: usize = 64;
/// Bytes of a blob that is pushed: a layer with the largest image of an operating system, and no filled disk by accident.
#[cfg(feature = "registry")]
pub const BLOB_BYTES: u64 = 64 << 30;
/// After which an upload that nobody writes to makes room for another: longer than a client's pause between tries.
#[cfg(feature = "registry")]
pub const UPLOAD_IDLE: Duration = Duration::from_secs(15 * 60);
/// How long the next bytes of an upload may take.
#[cfg(feature = "registry")]
pub const UPLOAD_SILENCE: Duration = Duration::from_secs(60);
/// Bytes of an upload that are written to disk at once, and kept in memory until then.
#[cfg(feature = "registry")]
pub const UPLOAD_CHUNK_BYTES: usize = 1 << 20;
/// Bytes of an upload after which the disk is waited for, so that the end of a large one is not minutes of writing while its client waits.
#[cfg(feature = "registry")]
pub const UPLOAD_SYNC_BYTES: u64 = 256 << 20;
/// How long content that no name reaches is left alone after it came, or after who pushes asked for it: longer than the pause between a layer
/// and the manifest that needs it, also where another program copies into the layout.
#[cfg(feature = "registry")]
pub const GRACE: Duration = Duration::from_secs(60 * 60);
/// Between two looks for such content: often enough that a disk is not full of it, and a look reads all manifests.
#[cfg(feature = "registry")]
pub const SWEEP: Duration = Duration::from_secs(10 * 60);
/// Blobs that pushes of the last [`GRACE`] asked for: a thousand images with 64 layers.
#[cfg(feature = "registry")]
pub const WANTED_BLOBS: usize = 1 << 16;

/// For a connection to an upstream registry.
#[cfg(feature = "upstream")]
pub const UPSTREAM_CONNECT: Duration = Duration::from_secs(5);
/// How long the next bytes from upstream may take.
#[cfg(feature = "upstream")]
pub const UPSTREAM_SILENCE: Duration = Duration::from_secs(30);
/// For a manifest with its token; machines and workers wait for it.
#[cfg(feature = "upstream")]
pub const UPSTREAM_MANIFEST: Duration = Duration::from_secs(20);
/// For a blob: 64 GiB at 18 MB/s, and no slow upstream for ever.
#[cfg(feature = "upstream")]
pub const UPSTREAM_BLOB: Duration = Duration::from_secs(60 * 60);
/// How long a machine waits for upstream where the layout has an older image of that name.
#[cfg(feature = "upstream")]
pub const UPSTREAM_STALE: Duration = Duration::from_secs(3);
/// After which what upstream had not, or did not give, is asked for again.
#[cfg(feature = "upstream")]
pub const UPSTREAM_PAUSE: Duration = Duration::from_secs(10);
/// Things that are fetched or wait for their turn: some images with tens of layers each.
#[cfg(feature = "upstream")]
pub const UPSTREAM_FETCHES: usize = 256;
/// Blobs that are fetched at the same time: what clients of registries do.
#[cfg(feature = "upstream")]
pub const UPSTREAM_BLOBS: usize = 4;
/// Bytes of a token's answer; those of large registries have some KiB.
#[cfg(feature = "upstream")]
pub const UPSTREAM_TOKEN_BYTES: u64 = 64 << 10;
/// Tokens, tags and failures that are remembered; past it all are forgotten and asked for again.
#[cfg(feature = "upstream")]
pub const UPSTREAM_REMEMBERED: usize = 4096;
