//! Who asks: a token first, else the source address where the Network says so.

use std::{net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, header};
use bootcode_core::{
    clock::Timestamp,
    document::{Hardware, MetadataIdentity},
    session::{Claims, Sealer, Use},
    source::{HardwareKey, HardwareSource, NetworkKey, NetworkSource, SourceError},
    timeline::Reason,
};

/// What a request says about who sent it.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// A token from the `Authorization` header, the path or the query.
    pub token: Option<&'a str>,
    /// The source address.
    pub peer: IpAddr,
}

/// The machine that asks.
#[derive(Debug, Clone)]
pub struct Identified {
    /// It.
    pub hardware: Arc<Hardware>,
    /// What its token says; `None` where only its address told. Secrets are for those with a token.
    pub claims: Option<Claims>,
}

/// Finds the machine that asks. A token that is no good is never made up for by an address, and a good one is refused
/// from the address of another declared machine: there it can only be stolen.
///
/// # Errors
/// The closed reason: [`Reason::BadToken`], [`Reason::WrongPeer`], [`Reason::UnknownMachine`], [`Reason::Ambiguous`],
/// [`Reason::StoreAway`].
pub async fn identify(
    asker: Asker<'_>,
    hardware: &dyn HardwareSource,
    networks: &dyn NetworkSource,
    sealer: &Sealer,
    now: Timestamp,
) -> Result<Identified, Reason> {
    let at_peer = HardwareKey::Ip(asker.peer);
    let Some(token) = asker.token else {
        let network = networks.network(NetworkKey::Of(asker.peer)).await.map_err(reason)?;
        match network.ok_or(Reason::UnknownMachine)?.spec.identity {
            MetadataIdentity::Address => {}
            MetadataIdentity::Token => return Err(Reason::BadToken),
        }
        let found = hardware.find(&at_peer).await.map_err(reason)?;
        return Ok(Identified { hardware: found.ok_or(Reason::UnknownMachine)?, claims: None });
    };
    let claims = sealer.open(token, Use::Instance, now).map_err(|_| Reason::BadToken)?;
    let named = hardware.find(&HardwareKey::Name(claims.hardware.clone())).await.map_err(reason)?;
    let named = named.ok_or(Reason::UnknownMachine)?;
    let other =
        hardware.find(&at_peer).await.map_err(reason)?.is_some_and(|at_peer| at_peer.name != named.name);
    if other { Err(Reason::WrongPeer) } else { Ok(Identified { hardware: named, claims: Some(claims) }) }
}

/// The bearer token of an `Authorization` header (RFC 6750 2.1). A header that holds anything else counts as a token that
/// is no good, not as none.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Some(token.map_or("", |(_, token)| token.trim()))
}

pub(crate) fn reason(error: SourceError) -> Reason {
    match error {
        SourceError::Ambiguous { .. } => Reason::Ambiguous,
        _ => Reason::StoreAway,
    }
}

impl std::fmt::Debug for Asker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.map(|_| "..");
        f.debug_struct("Asker").field("token", &token).field("peer", &self.peer).finish()
    }
}
