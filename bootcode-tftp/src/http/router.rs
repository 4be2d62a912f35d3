//! The route that serves files.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, Method, Response, StatusCode, header},
};
use bootcode_core::{
    clock::Clock,
    files::{FileError, FileName, FileRequest, FileSource},
    timeline::{BootEvent, BootEventKind, BootRecorder, Reason, Subject},
};

use super::{
    download::Download,
    downloads::Downloads,
    lane::Lane,
    metrics::{End, Kind},
    name::file_name,
    respond::{on_end, respond, text},
};
use crate::limits;

/// Serves every file of `source` under its name: `/osie/vmlinuz-x86_64` is the file `osie/vmlinuz-x86_64`.
///
/// It answers whatever no other route does (it is a fallback), so merge it into a router that has no fallback of its own, and serve
/// that with `into_make_service_with_connect_info::<SocketAddr>()`: what a machine may have depends on its address. Where requests have the
/// [`Lane`] of their connection, large files go by `sendfile`. OSIE's kernel and
/// initramfs are recorded when their last byte was handed to the connection, refusals and missing files when they are answered.
/// `downloads` counts all of it, and says when large files go.
pub fn files_router(
    source: Arc<dyn FileSource>,
    recorder: Arc<dyn BootRecorder>,
    clock: Arc<dyn Clock>,
    downloads: Downloads,
) -> Router {
    Router::new().fallback(serve).with_state(Files { source, recorder, clock, downloads })
}

#[derive(Clone)]
struct Files {
    source: Arc<dyn FileSource>,
    recorder: Arc<dyn BootRecorder>,
    clock: Arc<dyn Clock>,
    downloads: Downloads,
}

async fn serve(State(files): State<Files>, request: Request) -> Response<Body> {
    let (method, headers) = (request.method(), request.headers());
    let download = files.downloads.request(Kind::of(request.uri().path().trim_start_matches('/')));
    if method != Method::GET && method != Method::HEAD {
        download.ended(End::Refused(Reason::Unsupported));
        let mut response =
            text(StatusCode::METHOD_NOT_ALLOWED, "files are only given: GET or HEAD\n".to_owned());
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() else {
        tracing::error!(
            "the file router is served without ConnectInfo<SocketAddr>, so no machine can be told from another"
        );
        return text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server does not know the peer's address\n".to_owned(),
        );
    };
    let peer = peer.ip().to_canonical();
    let name = match file_name(request.uri().path()) {
        Ok(name) => name,
        Err(error) => {
            download.ended(End::Refused(Reason::IllegalRequest));
            return text(StatusCode::BAD_REQUEST, format!("{error}\n"));
        }
    };
    let asked = FileRequest { name: name.clone(), peer };
    let blob = match tokio::time::timeout(limits::OPEN, files.source.open(&asked)).await {
        Ok(Ok(Some(blob))) => blob,
        Ok(Ok(None)) => {
            download.ended(End::Refused(Reason::NotFound));
            files.refused(peer, &name, Reason::NotFound);
            return text(StatusCode::NOT_FOUND, format!("there is no file {name}\n"));
        }
        Ok(Err(FileError::Refused { reason, .. })) => {
            download.ended(End::Refused(reason));
            files.refused(peer, &name, reason);
            return text(StatusCode::FORBIDDEN, format!("{reason}\n"));
        }
        Ok(Err(error)) => return files.failed(peer, &name, &error, download),
        Err(late) => return files.failed(peer, &name, &late, download),
    };
    let len = blob.len;
    let content_type = HeaderValue::from_static(content_type(name.as_str()));
    let done = on_end(move |result| match (result, fetched(name.as_str(), len)) {
        (Ok(()), None) => {}
        (Ok(()), Some(kind)) => files.record(peer, kind),
        (Err(error), _) => {
            tracing::error!(%peer, file = %name, %error, "reading a file for HTTP failed in the middle");
            files.refused(peer, &name, Reason::ReadFailed);
        }
    });
    let lane = request.extensions().get::<Lane>().cloned();
    respond(method, headers, blob, content_type, lane, Some(done), download)
}

impl Files {
    fn refused(&self, peer: IpAddr, name: &FileName, reason: Reason) {
        tracing::info!(%peer, file = %name, %reason, "HTTP request refused");
        self.record(peer, BootEventKind::Refused { file: name.to_string(), reason });
    }

    fn failed(
        &self,
        peer: IpAddr,
        name: &FileName,
        error: &dyn std::error::Error,
        download: Download,
    ) -> Response<Body> {
        download.ended(End::Refused(Reason::ReadFailed));
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%peer, file = %name, %error, cause, "a file for HTTP cannot be opened");
        self.record(peer, BootEventKind::Refused { file: name.to_string(), reason: Reason::ReadFailed });
        let say = "the server cannot read this file; its log says why\n";
        text(StatusCode::INTERNAL_SERVER_ERROR, say.to_owned())
    }

    fn record(&self, peer: IpAddr, kind: BootEventKind) {
        self.recorder.record(BootEvent { at: self.clock.now(), subject: Subject::Ip(peer), kind });
    }
}

/// The event of a file that was fetched whole.
fn fetched(name: &str, bytes: u64) -> Option<BootEventKind> {
    let file = name.strip_prefix("osie/")?;
    if file.starts_with("vmlinuz-") {
        Some(BootEventKind::KernelFetched { bytes })
    } else if file.starts_with("initramfs-") {
        Some(BootEventKind::InitrdFetched { bytes })
    } else {
        None
    }
}

/// UEFI HTTP boot goes by the type where the name does not say it; people's browsers show text.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("efi") => "application/efi",
        Some("ipxe" | "txt" | "cfg") => "text/plain; charset=utf-8",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
