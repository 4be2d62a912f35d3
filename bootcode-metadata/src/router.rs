//! HTTP in front of the renderers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Bytes, HttpBody as _},
    extract::{ConnectInfo, DefaultBodyLimit, FromRequest as _, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bootcode_core::{
    document::Hardware,
    source::CalledHome,
    timeline::{BootEventKind, Reason, Subject},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    clouds,
    document::{Addresses, Rendered, document, part, render},
    forwarded, install,
    limits::{LOOK, PHONE_HOME_BYTES, WAIT_S},
    metrics,
    nocloud::{self, SeedFile},
    parts::MetadataParts,
    phone_home::{self, Call},
    refusal::Refusal,
    request::{Identified, bearer},
};

/// `/metadata` and what is in it by path, `/nocloud/..`, `/nocloud/t/<token>/..`, `/phone-home`, EC2's `/latest/..` and dated versions,
/// `/openstack/..`, `/ignition` and `/install/..`. Needs `ConnectInfo<SocketAddr>`.
pub fn router(parts: MetadataParts) -> Router {
    let router = Router::new()
        .route("/metadata", get(metadata))
        .route("/metadata/", get(metadata))
        .route("/metadata/{*path}", get(metadata_part))
        .route("/nocloud/{file}", get(nocloud_by_address))
        .route("/nocloud/t/{token}/{file}", get(nocloud_by_token))
        .route("/phone-home", post(call_home))
        .merge(clouds::router())
        .merge(install::router())
        .layer(DefaultBodyLimit::max(PHONE_HOME_BYTES));
    let router = match &*parts.proxies {
        [] => router,
        _ => router.route_layer(middleware::from_fn_with_state(parts.clone(), forwarded::see_through)),
    };
    let count = middleware::from_fn_with_state(parts.metrics.clone(), metrics::count);
    router.route_layer(count).with_state(parts)
}

/// Answers differ from machine to machine at one URL, and some hold tokens: no proxy may keep them.
pub(crate) const NO_STORE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-store");
pub(crate) const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");
pub(crate) const TEXT: (header::HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");

/// Who knows a revision may wait for another.
#[derive(Default, Deserialize)]
struct WaitQuery {
    /// Seconds, at most [`WAIT_S`].
    wait: Option<u32>,
    /// What `ETag` said, without the quotes.
    revision: Option<String>,
}

#[derive(Default, Deserialize)]
struct TokenQuery {
    token: Option<String>,
}

async fn metadata(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(query): Query<WaitQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let until = parts.clock.now() + Duration::from_secs(query.wait.unwrap_or_default().min(WAIT_S).into());
    loop {
        let (hardware, addresses, asker) = whole(&parts, &headers, peer).await?;
        let Rendered { json, revision } = render(&hardware, &addresses);
        let now = parts.clock.now();
        if query.revision.as_ref() == Some(&revision) && now < until {
            parts.clock.sleep_until(until.min(now + LOOK)).await;
            continue;
        }
        parts.fetched(&asker.hardware, "/metadata");
        let tag = (header::ETAG, format!("\"{revision}\""));
        return Ok(([NO_STORE, JSON], [tag], json).into_response());
    }
}

/// What stands at a path of the document: a text, number or truth as it is, with a line's end, all else as JSON.
async fn metadata_part(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (hardware, addresses, asker) = whole(&parts, &headers, peer).await?;
    let document = document(&hardware, &addresses);
    parts.fetched(&asker.hardware, "/metadata");
    let found = part(&document, &path).ok_or(Refusal(Reason::NotFound))?;
    let text = match found {
        Value::Object(_) | Value::Array(_) => return Ok(([NO_STORE], Json(found)).into_response()),
        Value::String(text) => format!("{text}\n"),
        other => format!("{other}\n"),
    };
    Ok(([NO_STORE, TEXT], text).into_response())
}

/// What the document of the machine that asks is made from.
async fn whole(
    parts: &MetadataParts,
    headers: &HeaderMap,
    peer: SocketAddr,
) -> Result<(Arc<Hardware>, Addresses, Identified), Refusal> {
    let asker = parts.identify(bearer(headers), peer, "/metadata").await?;
    let addresses = parts.addresses(&asker).await?;
    let hardware = parts.revealed(&asker).await?;
    Ok((hardware, addresses, asker))
}

async fn nocloud_by_address(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    seed(&parts, bearer(&headers), peer, &file).await
}

async fn nocloud_by_token(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path((token, file)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    seed(&parts, Some(&token), peer, &file).await
}

async fn seed(
    parts: &MetadataParts,
    token: Option<&str>,
    peer: SocketAddr,
    file: &str,
) -> Result<Response, Refusal> {
    let file: SeedFile = file.parse().map_err(|_| Refusal(Reason::NotFound))?;
    let asker = parts.identify(token, peer, &format!("/nocloud/{}", file.name())).await?;
    seed_file(parts, &asker, peer, "/nocloud", file).await
}

/// A file of NoCloud's, which was asked for below `root`.
pub(crate) async fn seed_file(
    parts: &MetadataParts,
    asker: &Identified,
    peer: SocketAddr,
    root: &str,
    file: SeedFile,
) -> Result<Response, Refusal> {
    let path = format!("{root}/{}", file.name());
    let hardware = match file {
        SeedFile::UserData | SeedFile::VendorData => parts.owner_data(asker, peer, &path).await?,
        SeedFile::MetaData | SeedFile::NetworkConfig => Arc::clone(&asker.hardware),
    };
    let text = match file {
        SeedFile::MetaData => {
            let instance_id = parts.instance_id(&hardware).await?;
            nocloud::meta_data(&instance_id, hardware.hostname(), &hardware.spec.ssh_keys)
        }
        SeedFile::UserData => nocloud::user_data(&hardware),
        SeedFile::VendorData => nocloud::vendor_data(&hardware),
        SeedFile::NetworkConfig => {
            format!("{:#}\n", nocloud::network_config(&hardware, &parts.networks_of(&hardware).await?))
        }
    };
    parts.fetched(&hardware, &path);
    Ok(([NO_STORE, TEXT], text).into_response())
}

/// cloud-init's `phone_home` sends a form; JSON with the same keys is taken as well. A token is always needed: in the
/// query, for cloud-init sends no header. Nothing is read of who has none, nor of what says that it is too long.
async fn call_home(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(query): Query<TokenQuery>,
    request: Request,
) -> Result<StatusCode, Response> {
    const PATH: &str = "/phone-home";
    let refused = IntoResponse::into_response;
    let headers = request.headers();
    let Some(token) = bearer(headers).or(query.token.as_deref()) else {
        return Err(refused(parts.refuse(peer.ip().to_canonical(), PATH, Reason::BadToken)));
    };
    let Identified { hardware, claims } = parts.identify(Some(token), peer, PATH).await.map_err(refused)?;
    if request.body().size_hint().lower() > PHONE_HOME_BYTES as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE.into_response());
    }
    let content_type = headers.get(header::CONTENT_TYPE).cloned();
    let body = Bytes::from_request(request, &()).await.map_err(IntoResponse::into_response)?;
    let content_type = content_type.as_ref().map(header::HeaderValue::as_bytes).unwrap_or_default();
    let Call { instance_id, host_keys } = phone_home::read(content_type, &body);
    // Its token says which instance it is: what it calls itself is for people to read.
    let instance = claims.map(|claims| claims.bound).unwrap_or_default();
    let home = CalledHome { instance, host_keys: host_keys.clone() };
    if parts.instances.called_home(&hardware, &home).await.is_err() {
        return Err(refused(parts.refuse(peer.ip().to_canonical(), PATH, Reason::StoreAway)));
    }
    parts.record(
        Subject::Hardware(hardware.name.clone()),
        BootEventKind::PhonedHome { instance_id, host_keys },
    );
    Ok(StatusCode::OK)
}
