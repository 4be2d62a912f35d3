//! What a client would be told.

use axum::{Json, extract::State};
use bootcode_core::preview::{Preview, PreviewAsk, PreviewError};

use super::OperatorParts;
use crate::{body::Body, routes::Problem};

pub(super) async fn boot(
    State(parts): State<OperatorParts>,
    Body(ask): Body<PreviewAsk>,
) -> Result<Json<Preview>, Problem> {
    let Some(preview) = &parts.preview else {
        let message = "this server does no DHCP, so there is nothing to preview".to_owned();
        return Err(Problem::Unavailable { message });
    };
    preview.preview(&ask).await.map(Json).map_err(|error| match error {
        PreviewError::Rejected { message } => Problem::Rejected { message },
        other => Problem::Unavailable { message: other.to_string() },
    })
}
