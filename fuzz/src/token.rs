use bootcode_core::{
    clock::Timestamp,
    session::{Sealer, Use},
};

/// What opens is exactly what was sealed, and opens for one use only.
///
/// The corpus holds tokens of this key, so that a fuzzer starts from ones that open.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let sealer = Sealer::new([7; 32]);
    let uses = [Use::Boot, Use::Session, Use::Instance, Use::Imds];
    let opened: Vec<_> =
        uses.iter().filter_map(|used_for| sealer.open(text, *used_for, Timestamp::UNIX_EPOCH).ok()).collect();
    assert!(opened.len() <= 1, "one token for {} uses", opened.len());
    for claims in opened {
        assert!(claims.expires >= 0, "an expired token opened");
        assert_eq!(sealer.seal(&claims), text);
        assert!(Sealer::new([8; 32]).open(text, claims.used_for, Timestamp::UNIX_EPOCH).is_err());
    }
}
