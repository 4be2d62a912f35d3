//! Who asks through a proxy: `X-Forwarded-For`, of proxies that are declared.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bootcode_core::timeline::Reason;
use ipnet::IpNet;

use crate::parts::MetadataParts;

pub(crate) const HEADER: &str = "x-forwarded-for";

/// The address that asks. What a declared proxy wrote of it counts, read from the right over other declared proxies; what
/// anybody else writes is not looked at.
///
/// # Errors
/// [`Reason::WrongPeer`] where a proxy wrote something that is no address: then nobody knows who asks.
pub fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Result<IpAddr, Reason> {
    let trusted = |ip: &IpAddr| proxies.iter().any(|network| network.contains(ip));
    let mut client = peer.to_canonical();
    for line in headers.get_all(HEADER).iter().rev() {
        for hop in line.to_str().map_err(|_| Reason::WrongPeer)?.rsplit(',') {
            if !trusted(&client) {
                return Ok(client);
            }
            let ip: IpAddr = hop.trim().parse().map_err(|_| Reason::WrongPeer)?;
            client = ip.to_canonical();
        }
    }
    Ok(client)
}

/// Marks a request that a declared proxy passed on, where it came to that proxy without such a header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByDeclaredProxy;

/// Whether the header begins with the address that asks: who writes one itself, or has another's request passed on, stands behind what it
/// wrote.
fn begins_with(client: IpAddr, headers: &HeaderMap) -> bool {
    let first = headers.get(HEADER).and_then(|line| line.to_str().ok()?.split(',').next());
    first.and_then(|hop| hop.trim().parse().ok()).is_some_and(|ip: IpAddr| ip.to_canonical() == client)
}

/// Puts the address that asks in the place of the proxy's.
pub(crate) async fn see_through(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    match client(peer.ip(), request.headers(), &parts.proxies) {
        Ok(ip) => {
            if ip != peer.ip().to_canonical() && begins_with(ip, request.headers()) {
                request.extensions_mut().insert(ByDeclaredProxy);
            }
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(ip, peer.port())));
            next.run(request).await
        }
        Err(reason) => parts.refuse(peer.ip().to_canonical(), HEADER, reason).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_declared_proxies_wrote_counts() {
        let proxies: [IpNet; 2] = ["10.0.0.0/30".parse().unwrap(), "fd00::1/128".parse().unwrap()];
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (machine, other) = ("192.168.99.11", "192.168.99.12");
        let cases: [(&str, &[&str], Result<&str, Reason>); 13] = [
            (machine, &[], Ok(machine)),
            (machine, &[other], Ok(machine)),
            (machine, &["nonsense"], Ok(machine)),
            ("10.0.0.1", &[], Ok("10.0.0.1")),
            ("10.0.0.1", &[machine], Ok(machine)),
            ("::ffff:10.0.0.1", &[machine], Ok(machine)),
            ("fd00::1", &["::ffff:192.168.99.11"], Ok(machine)),
            ("10.0.0.1", &["192.168.99.12, 192.168.99.11"], Ok(machine)),
            ("10.0.0.1", &["192.168.99.12", "192.168.99.11"], Ok(machine)),
            ("10.0.0.1", &["192.168.99.12, 192.168.99.11, 10.0.0.2"], Ok(machine)),
            ("10.0.0.1", &["nonsense,192.168.99.11,10.0.0.2"], Ok(machine)),
            ("10.0.0.1", &["192.168.99.11, unknown"], Err(Reason::WrongPeer)),
            ("10.0.0.1", &[""], Err(Reason::WrongPeer)),
        ];
        for (peer, lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HEADER, HeaderValue::from_str(line).unwrap());
            }
            assert_eq!(client(ip(peer), &headers, &proxies), expected.map(ip), "{peer} {lines:?}");
            assert_eq!(
                client(ip(peer), &headers, &[]),
                Ok(ip(peer).to_canonical()),
                "{peer} {lines:?}: none is declared"
            );
        }
    }
}
