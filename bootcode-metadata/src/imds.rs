//! EC2's sessions (IMDSv2): a token is asked for with PUT, and told in a header of each request after it.
//!
//! Nothing is kept: a token is sealed and says whose it is, for which address and until when.

use std::net::IpAddr;

use axum::http::HeaderMap;
use bootcode_core::{
    clock::Timestamp,
    document::Hardware,
    session::{Claims, Entropy, Sealer, Use, random_id},
    timeline::Reason,
};

use crate::limits::IMDS_TTL;

/// How long a new token should live, in seconds.
pub(crate) const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// The token of a request.
pub(crate) const TOKEN: &str = "x-aws-ec2-metadata-token";

/// The seconds that a request for a token names: 1 to 21600, in digits.
#[must_use]
pub fn ttl(headers: &HeaderMap) -> Option<u32> {
    let mut all = headers.get_all(TTL).iter();
    let value = all.next().filter(|_| all.next().is_none())?.to_str().ok()?;
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|seconds| digits && IMDS_TTL.contains(seconds))
}

/// A token of `hardware` for the address `peer`, good for `ttl` seconds.
#[must_use]
pub fn mint(
    hardware: &Hardware,
    peer: IpAddr,
    ttl: u32,
    sealer: &Sealer,
    entropy: &Entropy,
    now: Timestamp,
) -> String {
    sealer.seal(&Claims {
        used_for: Use::Imds,
        hardware: hardware.name.clone(),
        id: random_id(entropy),
        bound: peer.to_string(),
        expires: now.as_second().saturating_add(ttl.into()),
    })
}

/// The machine's name in a token that `peer` shows.
///
/// # Errors
/// [`Reason::BadToken`] where it is forged, expired or made for something else, [`Reason::WrongPeer`] where it was made
/// for another address.
pub fn open(token: &str, peer: IpAddr, sealer: &Sealer, now: Timestamp) -> Result<String, Reason> {
    let claims = sealer.open(token, Use::Imds, now).map_err(|_| Reason::BadToken)?;
    if claims.bound == peer.to_string() { Ok(claims.hardware) } else { Err(Reason::WrongPeer) }
}
