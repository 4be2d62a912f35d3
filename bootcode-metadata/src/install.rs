//! The files of a system's own installer, rendered for the machine that asks.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use axum::{
    Extension, Router,
    extract::{ConnectInfo, Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::get,
};
use bootcode_core::{
    clock::Timestamp,
    document::{Hardware, InstallFiles, Network},
    template::{RenderError, TemplateData},
    timeline::{BootEventKind, Reason, Subject},
};
use tokio::sync::Semaphore;

use crate::{
    limits::RENDERINGS,
    nocloud::SeedFile,
    parts::MetadataParts,
    refusal::Refusal,
    request::{Identified, bearer},
    router::{NO_STORE, TEXT, seed_file},
};

type Peer = ConnectInfo<SocketAddr>;
type Answer = Result<Response, Refusal>;

/// The file of NoCloud that makes a seed of a machine's install files.
const USER_DATA: &str = "user-data";

/// How many are rendered at once.
#[derive(Clone)]
struct Turns(Arc<Semaphore>);

/// `/install/`, `/install/<name>` and both below `/install/t/<token>`.
pub(crate) fn router() -> Router<MetadataParts> {
    Router::new()
        .route("/install", get(names_by_address))
        .route("/install/", get(names_by_address))
        .route("/install/{name}", get(file_by_address))
        .route("/install/t/{token}/", get(names_by_token))
        .route("/install/t/{token}/{name}", get(file_by_token))
        .layer(Extension(Turns(Arc::new(Semaphore::new(RENDERINGS)))))
}

/// The text of an install file for a machine, as the instance `instance_id`, at the time that `now` in a template gives. `networks`
/// are the machine's by the ids of its interfaces.
///
/// # Errors
/// See [`RenderError`]; nothing of what was rendered is in it.
pub fn render(
    template: &str,
    hardware: &Hardware,
    networks: &BTreeMap<String, Arc<Network>>,
    instance_id: &str,
    now: Timestamp,
) -> Result<String, RenderError> {
    let network = |name: &str| {
        networks.values().find(|network| network.name == name).map(|network| Network::clone(network))
    };
    TemplateData::of(hardware, &network).as_instance(instance_id).at(now).render(template)
}

async fn names_by_address(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
) -> Answer {
    names(&parts, bearer(&headers), peer).await
}

async fn names_by_token(
    State(parts): State<MetadataParts>,
    ConnectInfo(peer): Peer,
    Path(token): Path<String>,
) -> Answer {
    names(&parts, Some(&token), peer).await
}

async fn names(parts: &MetadataParts, token: Option<&str>, peer: SocketAddr) -> Answer {
    let asker = parts.identify(token, peer, "/install/").await?;
    let files = asker.hardware.spec.instance.install.as_deref().ok_or(Refusal(Reason::NotFound))?;
    let names: String = files.names().map(|name| format!("{name}\n")).collect();
    Ok(([NO_STORE, TEXT], names).into_response())
}

async fn file_by_address(
    State(parts): State<MetadataParts>,
    Extension(turns): Extension<Turns>,
    ConnectInfo(peer): Peer,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Answer {
    file(&parts, turns, bearer(&headers), peer, &name).await
}

async fn file_by_token(
    State(parts): State<MetadataParts>,
    Extension(turns): Extension<Turns>,
    ConnectInfo(peer): Peer,
    Path((token, name)): Path<(String, String)>,
) -> Answer {
    file(&parts, turns, Some(&token), peer, &name).await
}

async fn file(
    parts: &MetadataParts,
    turns: Turns,
    token: Option<&str>,
    peer: SocketAddr,
    name: &str,
) -> Answer {
    let asker = parts.identify(token, peer, "/install/").await?;
    let files = asker.hardware.spec.instance.install.as_ref().ok_or(Refusal(Reason::NotFound))?;
    if files.get(name).is_none() {
        // Where cloud-init reads its user data here it reads the rest of a seed here as well.
        let seed = files.get(USER_DATA).and_then(|_| name.parse::<SeedFile>().ok());
        let seed = seed.ok_or(Refusal(Reason::NotFound))?;
        return seed_file(parts, &asker, peer, "/install", seed).await;
    }
    // Only what is declared gets into the timeline: any other name is the machine's to choose.
    let path = format!("/install/{name}");
    let text = in_turn(parts, turns, &asker, Arc::clone(files), name.to_owned()).await?;
    let text = text.map_err(|error| {
        let fault = error.map_or_else(String::new, |error| error.to_string());
        tracing::error!(
            machine = asker.hardware.name,
            file = name,
            fault,
            "an install file cannot be rendered"
        );
        parts.record(
            Subject::Hardware(asker.hardware.name.clone()),
            BootEventKind::Refused { file: path.clone(), reason: Reason::NotRendered },
        );
        Refusal(Reason::NotRendered)
    })?;
    parts.fetched(&asker.hardware, &path);
    Ok(([NO_STORE, TEXT], text).into_response())
}

/// Renders apart from the threads that answer everybody else: the steps of a template are bounded, and still some hundred
/// milliseconds. `None` is a fault of ours.
async fn in_turn(
    parts: &MetadataParts,
    Turns(turns): Turns,
    asker: &Identified,
    files: Arc<InstallFiles>,
    name: String,
) -> Result<Result<String, Option<RenderError>>, Refusal> {
    let hardware = Arc::clone(&asker.hardware);
    let networks = parts.networks_of(&hardware).await?;
    let instance_id = parts.instance_id(&hardware).await?;
    let now = parts.clock.now();
    // It is closed by nobody.
    let Ok(turn) = turns.acquire_owned().await else { return Ok(Err(None)) };
    let rendering = tokio::task::spawn_blocking(move || {
        // Held to the end, also where nobody waits for it any more.
        let _turn = turn;
        let template = files.get(&name).unwrap_or_default();
        render(template, &hardware, &networks, &instance_id, now)
    });
    Ok(rendering.await.map_or(Err(None), |rendered| rendered.map_err(Some)))
}
