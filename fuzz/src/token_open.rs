use std::net::{IpAddr, Ipv4Addr};

use bootcode_core::{
    clock::Timestamp,
    session::{Claims, Sealer, Use},
};
use bootcode_metadata::imds;

/// A session of EC2 opens at one address, with one key, before it expires; nothing else opens.
///
/// The corpus holds sessions of this key for 10.0.0.1.
pub fn token_open(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let sealer = Sealer::new([7; 32]);
    let at = |octet| IpAddr::from(Ipv4Addr::new(10, 0, 0, octet));
    let now = Timestamp::UNIX_EPOCH;
    let Ok(hardware) = imds::open(text, at(1), &sealer, now) else { return };
    let claims = sealer.open(text, Use::Imds, now).expect("what was opened");
    assert_eq!(claims.hardware, hardware);
    assert!(claims.expires >= 0, "an expired session opened");
    assert!(imds::open(text, at(2), &sealer, now).is_err(), "at another address");
    assert!(imds::open(text, at(1), &Sealer::new([8; 32]), now).is_err(), "with another key");
    let later = Timestamp::from_second(claims.expires.saturating_add(1));
    assert!(
        later.is_err() || imds::open(text, at(1), &sealer, later.unwrap_or_default()).is_err(),
        "after its end"
    );
    // Its bytes are one way to write it.
    let again = sealer.seal(&Claims { used_for: Use::Imds, ..claims });
    assert_eq!(again, text);
}
