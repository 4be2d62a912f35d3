//! The errors of the distribution specification.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

/// An answer that is an error, with the specification's code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// `NAME_INVALID`.
    #[error("`{name}` is no repository name")]
    NameInvalid {
        /// What was asked for.
        name: String,
    },
    /// `NAME_UNKNOWN`.
    #[error("there is no repository `{name}`")]
    NameUnknown {
        /// What was asked for.
        name: String,
    },
    /// `MANIFEST_UNKNOWN`.
    #[error("repository `{name}` has no manifest `{reference}`")]
    ManifestUnknown {
        /// The repository.
        name: String,
        /// The tag or digest.
        reference: String,
    },
    /// `BLOB_UNKNOWN`.
    #[error("there is no blob {digest}")]
    BlobUnknown {
        /// The digest.
        digest: String,
    },
    /// `DIGEST_INVALID`: of the request, or of a file whose content is not what its name says.
    #[error("{digest} is no digest of ours: {why}")]
    DigestInvalid {
        /// The digest.
        digest: String,
        /// What is wrong.
        why: String,
    },
    /// `UNSUPPORTED`: this registry only gives.
    #[error("this registry only gives: GET or HEAD")]
    Unsupported,
    /// No endpoint of the specification.
    #[error("no endpoint of the OCI distribution specification")]
    NoEndpoint,
    /// The layout on disk is broken; the log has the cause.
    #[error("the image layout of this server is broken; its log says how")]
    Broken,
}

impl RegistryError {
    /// The specification's code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NameInvalid { .. } => "NAME_INVALID",
            Self::NameUnknown { .. } => "NAME_UNKNOWN",
            Self::ManifestUnknown { .. } => "MANIFEST_UNKNOWN",
            Self::BlobUnknown { .. } => "BLOB_UNKNOWN",
            Self::DigestInvalid { .. } => "DIGEST_INVALID",
            Self::Unsupported | Self::NoEndpoint => "UNSUPPORTED",
            Self::Broken => "UNKNOWN",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NameInvalid { .. } | Self::DigestInvalid { .. } => StatusCode::BAD_REQUEST,
            Self::NameUnknown { .. }
            | Self::ManifestUnknown { .. }
            | Self::BlobUnknown { .. }
            | Self::NoEndpoint => StatusCode::NOT_FOUND,
            Self::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn response(&self) -> Response<Body> {
        let errors = serde_json::json!({"errors": [{"code": self.code(), "message": self.to_string(), "detail": null}]});
        let text = errors.to_string();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        if matches!(self, Self::Unsupported) {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        *response.body_mut() = Body::from(text);
        response
    }
}
