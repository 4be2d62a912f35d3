//! Machines that asked and that no Hardware names.

use axum::{
    Json,
    extract::{Path, State},
};
use bootcode_core::{
    mac::MacAddr,
    source::HardwareKey,
    unknown::{UNKNOWN_KIND, Unknown},
};
use serde_json::Value;

use super::{OperatorParts, documents::away};
use crate::routes::{Items, Problem};

pub(super) async fn list(State(parts): State<OperatorParts>) -> Result<Json<Items>, Problem> {
    let (stored, _) = parts.store.list(UNKNOWN_KIND).await.map_err(away)?;
    let mut items = Vec::with_capacity(stored.len());
    for machine in stored {
        // One that was just declared goes from the store a moment later.
        if let Ok(mac) = machine.key.name.parse::<MacAddr>()
            && declared(&parts, mac).await?.is_none()
        {
            items.push(machine.value);
        }
    }
    Ok(Json(Items { items }))
}

pub(super) async fn one(
    State(parts): State<OperatorParts>,
    Path(mac): Path<String>,
) -> Result<Json<Value>, Problem> {
    let mac: MacAddr = mac.parse().map_err(|error: bootcode_core::mac::MacParseError| Problem::Rejected {
        message: error.to_string(),
    })?;
    if let Some(name) = declared(&parts, mac).await? {
        return Err(Problem::Rejected {
            message: format!("{mac} is declared already: it is Hardware `{name}`"),
        });
    }
    let stored = parts.store.get(&Unknown::key(mac)).await.map_err(away)?;
    let stored = stored.ok_or_else(|| Problem::NotFound {
        what: format!(
            "unknown machine {mac}: it did not ask since it was forgotten, or its Network has `unknown: ignore`"
        ),
    })?;
    Ok(Json(stored.value))
}

/// The Hardware that names it.
async fn declared(parts: &OperatorParts, mac: MacAddr) -> Result<Option<String>, Problem> {
    let found = parts.hardware.find(&HardwareKey::Mac(mac)).await;
    let found = found.map_err(|error| Problem::Unavailable { message: error.to_string() })?;
    Ok(found.map(|hardware| hardware.name.clone()))
}
