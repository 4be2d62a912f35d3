//! HTTP in front of EC2's, OpenStack's and Ignition's forms.

use std::{net::SocketAddr, num::NonZeroU8};

use axum::{
    Extension, Json, Router,
    extract::{ConnectInfo, State},
    http::{Extensions, HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use bootcode_core::{
    document::{Hardware, HttpTokens},
    source::HardwareKey,
    template::Variable,
    timeline::Reason,
};

use crate::{
    ec2::{self, Ec2Answer},
    forwarded::{self, ByDeclaredProxy},
    hops::HopLimit,
    ignition, imds, openstack,
    parts::MetadataParts,
    refusal::Refusal,
    request::{Identified, bearer, reason},
    router::{JSON, NO_STORE, TEXT},
};

type Peer = ConnectInfo<SocketAddr>;
type Answer = Result<Response, Response>;

/// `/latest/..` and the dated versions, `/latest/api/token`, `/openstack/..` and `/ignition`.
pub(crate) fn router() -> Router<MetadataParts> {
    let mut router = Router::new()
        .route("/latest/api/token", put(imds_token))
        .route("/openstack", get(openstack_versions))
        .route("/openstack/", get(openstack_versions))
        .route("/openstack/{*path}", get(openstack_file))
        .route("/ignition", get(ignition_config));
    for version in ec2::VERSIONS {
        for path in ["", "/", "/{*path}"] {
            router = router.route(&format!("/{version}{path}"), get(ec2_leaf));
        }
    }
    router
}

/// A token is given to whoever is identified without one of its kind. A request that came through a proxy is refused,
/// as EC2 refuses it: the machine that asks is another than the one that would be answered. A declared proxy says which asks.
async fn imds_token(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    extensions: Extensions,
) -> Answer {
    const PATH: &str = "/latest/api/token";
    let peer_ip = peer.ip().to_canonical();
    let declared = extensions.get::<ByDeclaredProxy>().is_some();
    let by_proxy = headers.contains_key(forwarded::HEADER) || headers.contains_key(header::FORWARDED);
    if by_proxy && !declared {
        return Err(parts.refuse(peer_ip, PATH, Reason::WrongPeer).into_response());
    }
    let Some(ttl) = imds::ttl(&headers) else {
        parts.refuse(peer_ip, PATH, Reason::IllegalRequest);
        let wanted = format!("{} must be 1 to 21600 seconds\n", imds::TTL);
        return Err((StatusCode::BAD_REQUEST, Extension(Reason::IllegalRequest), wanted).into_response());
    };
    let asker = parts.identify(bearer(&headers), peer, PATH).await.map_err(IntoResponse::into_response)?;
    if let Some(most) = asker.hardware.spec.instance.http_put_response_hop_limit.and_then(NonZeroU8::new) {
        // A proxy's packets to us end at the proxy, whatever the limit of ours.
        let Some(hops) = extensions.get::<HopLimit>().filter(|_| !declared) else {
            parts.refuse(peer_ip, PATH, Reason::Unsupported);
            let why = "the machine's httpPutResponseHopLimit cannot be kept on this way to it\n";
            return Err((StatusCode::FORBIDDEN, Extension(Reason::Unsupported), why).into_response());
        };
        hops.set(most);
    }
    let now = parts.clock.now();
    let token = imds::mint(&asker.hardware, peer_ip, ttl, &parts.sealer, &parts.entropy, now);
    let ttl = (header::HeaderName::from_static(imds::TTL), HeaderValue::from(ttl));
    Ok(([NO_STORE, TEXT], [ttl], token).into_response())
}

async fn ec2_leaf(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    // The router let only known versions in; what follows is the machine's to name, so it is recorded nowhere.
    let (version, path) = uri.path().trim_start_matches('/').split_once('/').unwrap_or(("latest", ""));
    let family = format!("/{version}/");
    let asker = ec2_asker(&parts, peer, &headers, &family).await?;
    let refused = IntoResponse::into_response;
    let networks = parts.networks_of(&asker.hardware).await.map_err(refused)?;
    let instance_id = parts.instance_id(&asker.hardware).await.map_err(refused)?;
    let answer = ec2::answer(&asker.hardware, &instance_id, &networks, path);
    let answer = answer.ok_or_else(|| Refusal(Reason::NotFound).into_response())?;
    if path == "meta-data/instance-id" {
        parts.fetched(&asker.hardware, &format!("{family}{path}"));
    }
    let (kind, text) = match answer {
        Ec2Answer::Text(text) => (TEXT, text),
        Ec2Answer::Document(text) => (JSON, text),
        Ec2Answer::UserData | Ec2Answer::VendorData => {
            let user = answer == Ec2Answer::UserData;
            let path = format!("{family}{}", if user { "user-data" } else { "vendor-data" });
            let hardware = parts.owner_data(&asker, peer, &path).await.map_err(refused)?;
            parts.fetched(&hardware, &path);
            (TEXT, text_of(&hardware, user).unwrap_or_default().to_owned())
        }
    };
    Ok(([NO_STORE, kind], text).into_response())
}

/// The machine that asks in EC2's way: by a session's token, else as everywhere where the machine does not want sessions.
/// What EC2's clients take for "get a new token" is 401.
async fn ec2_asker(
    parts: &MetadataParts,
    peer: SocketAddr,
    headers: &HeaderMap,
    family: &str,
) -> Result<Identified, Response> {
    let peer_ip = peer.ip().to_canonical();
    let refuse = |reason| parts.refuse(peer_ip, family, reason).into_response();
    let again = || {
        let mut response = refuse(Reason::BadToken);
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response
    };
    let Some(token) = headers.get(imds::TOKEN) else {
        let asker =
            parts.identify(bearer(headers), peer, family).await.map_err(IntoResponse::into_response)?;
        let session = asker.hardware.spec.instance.http_tokens == HttpTokens::Required;
        return if session && asker.claims.is_none() { Err(again()) } else { Ok(asker) };
    };
    let token = token.to_str().unwrap_or_default();
    let name = match imds::open(token, peer_ip, &parts.sealer, parts.clock.now()) {
        Ok(name) => name,
        Err(Reason::BadToken) => return Err(again()),
        Err(why) => return Err(refuse(why)),
    };
    let found = parts.hardware.find(&HardwareKey::Name(name)).await.map_err(|error| refuse(reason(error)))?;
    let hardware = found.ok_or_else(|| refuse(Reason::UnknownMachine))?;
    // An address that now is another machine's takes the session with it.
    match parts.hardware.find(&HardwareKey::Ip(peer_ip)).await {
        Ok(None) => Ok(Identified { hardware, claims: None }),
        Ok(Some(at_peer)) if at_peer.name == hardware.name => Ok(Identified { hardware, claims: None }),
        Ok(Some(_)) => Err(refuse(Reason::WrongPeer)),
        Err(error) => Err(refuse(reason(error))),
    }
}

async fn openstack_versions(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    parts.identify(bearer(&headers), peer, "/openstack/").await?;
    Ok(([NO_STORE, TEXT], openstack::VERSIONS.join("\n")).into_response())
}

async fn openstack_file(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let asker = parts.identify(bearer(&headers), peer, "/openstack/").await?;
    let path = uri.path().strip_prefix("/openstack/").unwrap_or_default();
    let (version, file) = path.split_once('/').unwrap_or((path, ""));
    if !openstack::VERSIONS.contains(&version) {
        return Err(Refusal(Reason::NotFound));
    }
    let path = format!("/openstack/{version}/{file}");
    let value = match file {
        "" => return Ok(([NO_STORE, TEXT], openstack::files(&asker.hardware).join("\n")).into_response()),
        "meta_data.json" => openstack::meta_data(&asker.hardware, &parts.instance_id(&asker.hardware).await?),
        "network_data.json" => {
            openstack::network_data(&asker.hardware, &parts.networks_of(&asker.hardware).await?)
        }
        "vendor_data.json" => {
            openstack::vendor_data(text_of(&*parts.owner_data(&asker, peer, &path).await?, false))
        }
        "user_data" => {
            let hardware = parts.owner_data(&asker, peer, &path).await?;
            let text = text_of(&hardware, true).ok_or(Refusal(Reason::NotFound))?.to_owned();
            parts.fetched(&hardware, &path);
            return Ok(([NO_STORE, TEXT], text).into_response());
        }
        _ => return Err(Refusal(Reason::NotFound)),
    };
    parts.fetched(&asker.hardware, &path);
    Ok(([NO_STORE], Json(value)).into_response())
}

async fn ignition_config(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
) -> Answer {
    const PATH: &str = "/ignition";
    let refused = IntoResponse::into_response;
    let asker = parts.identify(bearer(&headers), peer, PATH).await.map_err(refused)?;
    let hardware = parts.owner_data(&asker, peer, PATH).await.map_err(refused)?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match ignition::config(&hardware, text_of(&hardware, true), ignition::newest(accept)) {
        Ok(config) => {
            parts.fetched(&hardware, PATH);
            Ok(([NO_STORE, JSON], config).into_response())
        }
        Err(reason @ Reason::Unsupported) => {
            parts.refuse(peer.ip().to_canonical(), PATH, reason);
            let why = "the user data are of an Ignition version that the asking one does not read\n";
            Err((StatusCode::NOT_ACCEPTABLE, Extension(reason), why).into_response())
        }
        Err(reason) => Err(parts.refuse(peer.ip().to_canonical(), PATH, reason).into_response()),
    }
}

fn text_of(hardware: &Hardware, user: bool) -> Option<&str> {
    let data = if user { &hardware.spec.user_data } else { &hardware.spec.vendor_data };
    data.as_deref().and_then(Variable::as_text)
}
