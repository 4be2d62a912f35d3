//! `--set a.b=c` and `BOOTCODE_A_B=c`.

use std::str::FromStr;

use bootcode_core::yaml;
use serde_json::{Map, Value};

/// Keys that an override may set. An environment variable's name has no dots, so it is looked up here.
const KEYS: [&str; 35] = [
    "data_dir",
    "store",
    "interfaces",
    "advertise",
    "tftp.listen",
    "tftp.singlePort",
    "tftp.perAddress",
    "http.listen",
    "http.connections.total",
    "http.connections.perAddress",
    "http.connections.headSeconds",
    "http.connections.idleSeconds",
    "http.connections.stallSeconds",
    "http.largeDownloads.fromMib",
    "http.largeDownloads.parallel",
    "http.largeDownloads.megabitsPerSecond",
    "http.tls.listen",
    "http.tls.certificate",
    "http.tls.key",
    "api.socket",
    "api.loopback",
    "api.tls.listen",
    "api.tls.certificate",
    "api.tls.key",
    "syslog.listen",
    "retention.logDays",
    "files",
    "hot_mib",
    "images",
    "registry.upstream",
    "registry.tagSeconds",
    "registry.maxGiB",
    "ipxe",
    "osie",
    "sources",
];

/// A key as the name of a variable, after BOOTCODE_ and in small letters.
fn variable(key: &str) -> String {
    key.replace('.', "_").to_ascii_lowercase()
}

/// One key with another value.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    key: String,
    value: Value,
}

/// An override that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverrideError {
    /// It is no KEY=VALUE.
    #[error("`{text}` is no override: write KEY=VALUE, as in http.listen=0.0.0.0:80")]
    Form {
        /// What was read.
        text: String,
    },
    /// There is no such key.
    #[error("there is no configuration key `{key}`: the keys are {}", KEYS.join(", "))]
    Key {
        /// What was read.
        key: String,
    },
    /// The value is no YAML.
    #[error("the value of `{key}` is no YAML: {message}")]
    Value {
        /// Its key.
        key: String,
        /// What is wrong with it.
        message: String,
    },
}

impl Override {
    /// Of this key; the value is read as YAML, so that lists can be given.
    ///
    /// # Errors
    /// See [`OverrideError`].
    pub fn new(key: &str, value: &str) -> Result<Self, OverrideError> {
        let failed = |message: String| OverrideError::Value { key: key.to_owned(), message };
        let nodes = yaml::parse_documents(key, value).map_err(|faults| failed(faults.to_string()))?;
        let value = nodes.first().map_or(Value::Null, yaml::Node::to_json);
        Ok(Self { key: key.to_owned(), value })
    }

    /// Those of the environment: `BOOTCODE_HTTP_LISTEN` sets `http.listen`.
    ///
    /// # Errors
    /// See [`OverrideError`].
    pub fn from_environment(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Vec<Self>, OverrideError> {
        let key = |name: &str| {
            let name = name.strip_prefix("BOOTCODE_")?.to_ascii_lowercase();
            KEYS.into_iter().find(|key| variable(key) == name)
        };
        variables
            .into_iter()
            .filter_map(|(name, value)| key(&name).map(|key| Self::new(key, &value)))
            .collect()
    }

    /// Variables that begin with BOOTCODE_ and mean nothing here: probably misspelt.
    #[must_use]
    pub fn unknown_of_environment(names: impl IntoIterator<Item = String>) -> Vec<String> {
        // What the log and the operator's command read.
        let others = ["log", "server", "token_file"];
        let known = |name: &str| {
            let name = name.to_ascii_lowercase();
            others.contains(&&*name) || KEYS.iter().any(|key| variable(key) == name)
        };
        names
            .into_iter()
            .filter(|name| name.strip_prefix("BOOTCODE_").is_some_and(|name| !known(name)))
            .collect()
    }

    /// Whether one of the faults is in what this sets.
    pub(super) fn is_at_fault(&self, faults: &yaml::Faults) -> bool {
        faults.iter().any(|fault| fault.path.starts_with(&self.key))
    }

    pub(super) fn apply(&self, tree: &mut Value) -> Result<(), OverrideError> {
        let Some(key) = KEYS.into_iter().find(|key| *key == self.key) else {
            return Err(OverrideError::Key { key: self.key.clone() });
        };
        let mut at = tree;
        for part in key.split('.') {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            at = &mut at[part];
        }
        *at = self.value.clone();
        Ok(())
    }
}

impl FromStr for Override {
    type Err = OverrideError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) =
            text.split_once('=').ok_or_else(|| OverrideError::Form { text: text.to_owned() })?;
        Self::new(key.trim(), value)
    }
}
