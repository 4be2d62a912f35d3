//! Documents and their status.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::Uri,
};
use bootcode_core::{
    apply::{ApplyError, Origin},
    document::{Catalog, Document, Hardware, Kind, Plan},
    engine::EngineError,
    store::{Key, StoreError, Stored},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::OperatorParts;
use crate::body::Body;
use crate::routes::{Applied, Files, Items, Problem};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct View {
    resolved: bool,
}

pub(super) async fn apply(
    State(parts): State<OperatorParts>,
    Body(files): Body<Files>,
) -> Result<Json<Applied>, Problem> {
    let done = parts.applier.apply(&pairs(files), Origin::Operator).await.map_err(Problem::from)?;
    parts.snapshot.reached(done.revision).await;
    let named = |ids: Vec<bootcode_core::document::Id>| {
        ids.into_iter().map(|id| format!("{}/{}", id.kind, id.name)).collect()
    };
    Ok(Json(Applied {
        created: named(done.diff.created),
        changed: named(done.diff.changed.into_iter().map(|changed| changed.id).collect()),
        deleted: named(done.diff.deleted),
        unchanged: named(done.diff.unchanged),
        warnings: done.warnings,
    }))
}

pub(super) async fn diff(
    State(parts): State<OperatorParts>,
    Body(files): Body<Files>,
) -> Result<Json<Plan>, Problem> {
    Ok(Json(parts.applier.plan(&pairs(files), Origin::Operator).await.map_err(Problem::from)?))
}

pub(super) async fn list(
    State(parts): State<OperatorParts>,
    Path(kind): Path<String>,
) -> Result<Json<Items>, Problem> {
    let kind = parse(&kind)?;
    let (stored, _) = {
        let _whole = parts.applier.whole().await;
        parts.store.list(kind.name()).await.map_err(away)?
    };
    let machines: Vec<&str> = stored.iter().map(|stored| stored.key.name.as_str()).collect();
    let statuses = match kind {
        Kind::Hardware => parts.engine.machine_statuses(&machines).await.map_err(away)?,
        _ => Vec::new(),
    };
    let mut statuses = statuses.into_iter();
    let mut items = Vec::with_capacity(stored.len());
    for document in stored {
        let mut document = with_status(&parts, kind, document);
        if let Some(status) = statuses.next() {
            document["status"] = json!(status);
        }
        // Half a MiB each at most: an answer about many workflows is without them.
        let actions = document.pointer_mut("/status/actions").and_then(Value::as_array_mut);
        for action in actions.into_iter().flatten() {
            action.as_object_mut().and_then(|action| action.remove("outputs"));
        }
        items.push(document);
    }
    Ok(Json(Items { items }))
}

pub(super) async fn one(
    State(parts): State<OperatorParts>,
    Path((kind, name)): Path<(String, String)>,
    Query(view): Query<View>,
) -> Result<Json<Value>, Problem> {
    let kind = parse(&kind)?;
    let stored = parts.store.get(&Key::new(kind.name(), &name)).await.map_err(away)?;
    let stored = stored.ok_or_else(|| Problem::NotFound { what: format!("{kind} `{name}`") })?;
    let mut document = with_status(&parts, kind, stored);
    if view.resolved && kind == Kind::Hardware {
        (document["spec"], document["fields"]) = resolved(&parts, &document, &name).await?;
    }
    if kind == Kind::Hardware {
        document["status"] = json!(parts.engine.machine_status(&name).await.map_err(away)?);
    }
    Ok(Json(document))
}

/// A machine with its Profile merged in, and who says each of its fields; both of the store, which the snapshot follows a moment later.
async fn resolved(parts: &OperatorParts, document: &Value, name: &str) -> Result<(Value, Value), Problem> {
    let failed = |message: String| Problem::Unavailable { message };
    let mut documents = vec![Document::deserialize(document).map_err(|error| failed(error.to_string()))?];
    if let Some(profile) = Hardware::profile_of(&documents[0]) {
        let stored = parts.store.get(&Key::new(Kind::Profile.name(), profile)).await.map_err(away)?;
        let profile = stored.and_then(|stored| Document::deserialize(stored.value).ok());
        documents.extend(profile);
    }
    let catalog = Catalog::new(&documents);
    let whole = catalog.hardware(name).map_err(|error| failed(error.to_string()))?;
    let fields = catalog.fields(name).map_err(|error| failed(error.to_string()))?;
    Ok((json!(whole.spec), json!(fields)))
}

pub(super) async fn delete(
    State(parts): State<OperatorParts>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let kind = parse(&kind)?;
    let revision = parts.applier.delete(kind, &name).await.map_err(Problem::from)?;
    parts.snapshot.reached(revision).await;
    Ok(Json(json!({"deleted": format!("{kind}/{name}")})))
}

pub(super) async fn command(
    State(parts): State<OperatorParts>,
    Path((name, command)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let status = match command.as_str() {
        "release" => parts.engine.release(&name).await,
        "cancel" => parts.engine.cancel(&name).await,
        "retry" => parts.engine.retry(&name, None).await,
        _ => {
            let message = format!("`{command}` is no command of workflows: use release, cancel or retry");
            return Err(Problem::Rejected { message });
        }
    };
    Ok(Json(json!(status.map_err(|error| Problem::from(ApplyError::from(error)))?)))
}

fn with_status(parts: &OperatorParts, kind: Kind, stored: Stored) -> Value {
    let mut document = stored.value;
    if kind == Kind::Workflow
        && let Some(status) = parts.engine.status(&stored.key.name)
    {
        document["status"] = json!(status);
    }
    document
}

/// What this server's API does not have; another version's may.
pub(super) async fn none(uri: Uri) -> Problem {
    Problem::Malformed { status: 404, message: format!("this server's API has no {}", uri.path()) }
}

fn pairs(files: Files) -> Vec<(String, String)> {
    files.files.into_iter().map(|file| (file.name, file.text)).collect()
}

fn parse(kind: &str) -> Result<Kind, Problem> {
    kind.parse().map_err(|error: bootcode_core::document::UnknownKind| Problem::Rejected {
        message: error.to_string(),
    })
}

pub(super) fn away(error: StoreError) -> Problem {
    Problem::Unavailable { message: error.to_string() }
}

impl From<ApplyError> for Problem {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Faults(faults) => Self::Faults { faults },
            ApplyError::Missing { kind, name } => Self::NotFound { what: format!("{kind} `{name}`") },
            error @ ApplyError::Unfinished { .. } => Self::Unavailable { message: error.to_string() },
            ApplyError::Store(error) | ApplyError::Engine(EngineError::Store(error)) => away(error),
            other => Self::Rejected { message: other.to_string() },
        }
    }
}
