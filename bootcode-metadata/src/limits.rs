//! Bounds of the metadata service, each with its reason.

/// Bytes of a phone-home call: three or four public keys and some names.
pub const PHONE_HOME_BYTES: usize = 64 << 10;
/// Characters of an instance id that is kept: ours have at most 97, those of clouds about 20.
pub const INSTANCE_ID_CHARS: usize = 128;
/// Bytes of a host key that is kept: one of RSA with 8,192 bits has 1,400 and its comment.
pub const HOST_KEY_BYTES: usize = 2048;
/// Install files that are rendered at once: each may make 16 MiB of texts on its way, and there are threads enough for the rest.
pub const RENDERINGS: usize = 4;
/// Seconds that an answer is held for who waits for a change: below the minute that proxies give an answer.
pub const WAIT_S: u32 = 50;
/// Between looks at what is waited for.
pub const LOOK: std::time::Duration = std::time::Duration::from_secs(1);
/// Seconds that an EC2 session token may live, as EC2 has it: six hours.
pub const IMDS_TTL: std::ops::RangeInclusive<u32> = 1..=21_600;
