//! Refusals, in the status that machines understand.

use axum::{
    Extension,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bootcode_core::timeline::Reason;

/// 404 where the machine or file is unknown, 403 where the machine may not, 500 where what its owner wrote does not fit it, 503 where we cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) Reason);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.0 {
            Reason::BadToken | Reason::WrongPeer => StatusCode::FORBIDDEN,
            Reason::NotRendered => StatusCode::INTERNAL_SERVER_ERROR,
            Reason::StoreAway | Reason::ReadFailed => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::NOT_FOUND,
        };
        // The reason goes with it, for who counts.
        (status, Extension(self.0), format!("{}\n", self.0)).into_response()
    }
}
