//! An image's configuration (OCI image specification 1.1: config.md).

use serde::Deserialize;

use super::registry::PullError;

/// What an image says about its process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ImageConfig {
    pub(super) environment: Vec<String>,
    pub(super) entrypoint: Vec<String>,
    pub(super) command: Vec<String>,
    pub(super) directory: String,
    pub(super) user: String,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    config: Option<Process>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Process {
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
}

impl ImageConfig {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, PullError> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|source| PullError::Config { source })?;
        let process = document.config.unwrap_or_default();
        Ok(Self {
            environment: process.env.unwrap_or_default(),
            entrypoint: process.entrypoint.unwrap_or_default(),
            command: process.cmd.unwrap_or_default(),
            directory: process.working_dir.unwrap_or_default(),
            user: process.user.unwrap_or_default(),
        })
    }
}
