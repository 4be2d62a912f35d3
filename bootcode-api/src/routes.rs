//! The routes of both sides, and the bodies that are not core's own types.

use bootcode_core::{
    clock::Timestamp, document::Kind, timeline::Reason, workflow::ServiceError, yaml::Faults,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Workers: POST.
pub const HELLO: &str = "/worker/v1/hello";
/// Workers: POST, waits for news.
pub const CLAIM: &str = "/worker/v1/claim";
/// Workers: POST.
pub const REPORT: &str = "/worker/v1/report";
/// Workers: POST.
pub const HEARTBEAT: &str = "/worker/v1/heartbeat";
/// Workers: POST [`HookStart`](bootcode_core::workflow::HookStart).
pub const HOOK: &str = "/worker/v1/hook";
/// Machines that nobody declared: POST their [`Inventory`](bootcode_core::workflow::Inventory); answers with
/// [`Standby`](bootcode_core::unknown::Standby).
pub const INVENTORY: &str = "/worker/v1/inventory";
/// Workers: POST.
pub const LOG: &str = "/worker/v1/log";

/// Operators: POST [`Files`].
pub const APPLY: &str = "/api/v1/apply";
/// Operators: POST [`Files`]; answers with the [`Plan`](bootcode_core::document::Plan) of what an apply would do, and does nothing.
pub const DIFF: &str = "/api/v1/diff";
/// Operators: POST a [`PreviewAsk`](bootcode_core::preview::PreviewAsk); answers with the
/// [`Preview`](bootcode_core::preview::Preview) of what that client would be told, and does nothing.
pub const PREVIEW_BOOT: &str = "/api/v1/preview-boot";
/// Operators: GET the [`News`] since a revision; waits for some.
pub const WATCH: &str = "/api/v1/watch";
/// Operators: GET the [`Items`] that are machines without a Hardware, by address.
pub const UNKNOWN: &str = "/api/v1/unknown";
/// Operators: GET one of them.
pub const UNKNOWN_ONE: &str = "/api/v1/unknown/{mac}";
/// Operators: GET all documents of a kind.
pub const LIST: &str = "/api/v1/{kind}";
/// Operators: GET or DELETE a document.
pub const ONE: &str = "/api/v1/{kind}/{name}";
/// Operators: POST `release`, `cancel` or `retry`.
pub const COMMAND: &str = "/api/v1/workflow/{name}/{command}";
/// Operators: GET a page of a machine's timeline, NDJSON.
pub const TIMELINE: &str = "/api/v1/hardware/{name}/timeline";
/// Operators: GET a page of an attempt's log.
pub const ACTION_LOG: &str = "/api/v1/workflow/{name}/logs/{action}/{attempt}";

/// The header in which a server says its version.
pub const VERSION: &str = "bootcode-version";

/// The header that says where the next page of a stream begins, in bytes.
pub const NEXT: &str = "bootcode-next";

/// The header of operators' `/v2/` that says where machines find the server: `http://ADDRESS:PORT`, several with commas between.
pub const MACHINES: &str = "bootcode-machines";

/// The header that says how many bytes a removed image freed.
pub const FREED: &str = "bootcode-freed";

/// The header that says how many bytes that no image reaches are freed later.
pub const FREED_LATER: &str = "bootcode-freed-later";

/// Body of a heartbeat.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatBody {
    /// The workflow.
    pub workflow: String,
    /// The attempt.
    pub attempt: u32,
}

/// Documents to apply.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Files {
    /// Each with the name that faults are reported under.
    pub files: Vec<File>,
}

/// A file of documents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct File {
    /// As the operator knows it.
    pub name: String,
    /// YAML.
    pub text: String,
}

/// What an `apply` did, as `Kind/name`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// New ones.
    pub created: Vec<String>,
    /// Other content than before.
    pub changed: Vec<String>,
    /// What was derived from other documents and is needed no longer.
    #[serde(default)]
    pub deleted: Vec<String>,
    /// The same as before.
    pub unchanged: Vec<String>,
    /// What has no effect here, with its place.
    #[serde(default)]
    pub warnings: Faults,
}

/// A list of documents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Items {
    /// Them, by name; a Workflow or Hardware with its `status`.
    pub items: Vec<Value>,
}

/// What changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct News {
    /// Up to which revision of the store this is; the next question is from here on.
    pub revision: u64,
    /// Whether there was more than the store remembers: list documents anew.
    #[serde(default)]
    pub missed: bool,
    /// In order; empty where nothing came in time.
    pub changes: Vec<Change>,
}

/// A change of a workflow or a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// When: that of the log for events, that of the look for documents.
    pub at: Timestamp,
    /// `Hardware` or `Workflow`.
    pub kind: Kind,
    /// Which.
    pub name: String,
    /// The event of a workflow's log by its name; of a machine `Applied`, `Deleted`, `Booted` or `Installed`.
    pub change: String,
    /// For people; may be empty.
    pub detail: String,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Problem {
    /// The worker may not.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// Not the open attempt.
    StaleAttempt {
        /// The workflow.
        workflow: String,
        /// The action.
        action: String,
        /// The attempt.
        attempt: u32,
    },
    /// Not now.
    Unavailable {
        /// What is wrong.
        message: String,
    },
    /// The request is none of this API.
    Malformed {
        /// Its HTTP status.
        status: u16,
        /// What is wrong with it.
        message: String,
    },
    /// The documents have faults; nothing was applied.
    Faults {
        /// Each with file, line and column: who sent the text can show the place.
        faults: Faults,
    },
    /// Who asks shows no token of an operator.
    Unauthorized {
        /// What to do.
        message: String,
    },
    /// There is no such thing.
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// The request makes no sense, or the rules forbid it.
    Rejected {
        /// Why, and what to do.
        message: String,
    },
}

impl Problem {
    /// Its HTTP status (RFC 9110 15).
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed { status, .. } => *status,
            Self::Unauthorized { .. } => 401,
            Self::Refused { .. } => 403,
            Self::NotFound { .. } => 404,
            Self::StaleAttempt { .. } | Self::Rejected { .. } => 409,
            Self::Faults { .. } => 422,
            Self::Unavailable { .. } => 503,
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused { reason } => Self::Refused { reason },
            ServiceError::StaleAttempt { workflow, action, attempt } => {
                Self::StaleAttempt { workflow, action, attempt }
            }
            other => Self::Unavailable { message: other.to_string() },
        }
    }
}

impl From<Problem> for ServiceError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Refused { reason } => Self::Refused { reason },
            Problem::StaleAttempt { workflow, action, attempt } => {
                Self::StaleAttempt { workflow, action, attempt }
            }
            other => Self::Unavailable { message: other.to_string() },
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { reason } => write!(f, "refused: {reason}"),
            Self::StaleAttempt { workflow, action, attempt } => {
                write!(f, "attempt {attempt} of {workflow}/{action} is not the open one")
            }
            Self::Unavailable { message }
            | Self::Rejected { message }
            | Self::Unauthorized { message }
            | Self::Malformed { message, .. } => f.write_str(message),
            Self::Faults { faults } => write!(f, "{faults}"),
            Self::NotFound { what } => write!(f, "there is no {what}"),
        }
    }
}
