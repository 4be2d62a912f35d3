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
    /// `BLOB_UPLOAD_UNKNOWN`: it ended, was forgotten, or never was.
    #[error("there is no upload {id}; begin it again")]
    UploadUnknown {
        /// What was asked for.
        id: String,
    },
    /// `BLOB_UPLOAD_INVALID`.
    #[error("the upload cannot go on so: {why}")]
    UploadInvalid {
        /// What is wrong.
        why: String,
    },
    /// `BLOB_UPLOAD_INVALID`: a chunk that does not begin where the last one ended.
    #[error("the chunk begins at {start}, but {len} bytes came so far")]
    OutOfOrder {
        /// Where it begins.
        start: u64,
        /// What came so far.
        len: u64,
    },
    /// `SIZE_INVALID`.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// `MANIFEST_INVALID`.
    #[error("the manifest is not kept: {why}")]
    ManifestInvalid {
        /// What is wrong.
        why: String,
    },
    /// `MANIFEST_BLOB_UNKNOWN`.
    #[error("the manifest refers to {digest}, which was not pushed; push it first")]
    ManifestBlobUnknown {
        /// The digest.
        digest: String,
    },
    /// `TOOMANYREQUESTS`.
    #[error("too many uploads are under way; try again in a minute")]
    TooManyUploads,
    /// `TOOMANYREQUESTS`: of an upstream registry.
    #[error("too much is fetched from the upstream registry; try again in a minute")]
    UpstreamBusy,
    /// What is not here could not be had from an upstream registry.
    #[error("{why}")]
    Upstream {
        /// The cause.
        why: String,
    },
    /// `UNSUPPORTED`: this listener only gives, or the method has no meaning here.
    #[error(
        "this is not done here; images are pushed on the operators' listener, as by `bootcode image push`"
    )]
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
            Self::UploadUnknown { .. } => "BLOB_UPLOAD_UNKNOWN",
            Self::UploadInvalid { .. } | Self::OutOfOrder { .. } => "BLOB_UPLOAD_INVALID",
            Self::TooLarge { .. } => "SIZE_INVALID",
            Self::ManifestInvalid { .. } => "MANIFEST_INVALID",
            Self::ManifestBlobUnknown { .. } => "MANIFEST_BLOB_UNKNOWN",
            Self::TooManyUploads | Self::UpstreamBusy => "TOOMANYREQUESTS",
            Self::Unsupported | Self::NoEndpoint => "UNSUPPORTED",
            Self::Broken | Self::Upstream { .. } => "UNKNOWN",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NameInvalid { .. }
            | Self::DigestInvalid { .. }
            | Self::UploadInvalid { .. }
            | Self::ManifestInvalid { .. }
            | Self::ManifestBlobUnknown { .. } => StatusCode::BAD_REQUEST,
            Self::OutOfOrder { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyUploads | Self::UpstreamBusy => StatusCode::TOO_MANY_REQUESTS,
            Self::Upstream { .. } => StatusCode::BAD_GATEWAY,
            Self::NameUnknown { .. }
            | Self::ManifestUnknown { .. }
            | Self::BlobUnknown { .. }
            | Self::UploadUnknown { .. }
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
