//! `bootcode.yaml`, its defaults and what overrides it.

mod file;
mod overrides;

pub use file::{Api, Config, Http, SourceDir, StoreKind, Syslog, Tftp};
pub use overrides::{Override, OverrideError};

use std::path::{Path, PathBuf};

use bootcode_core::yaml::{self, Faults};
use serde_json::Value;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {source}; name another with --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file has faults.
    #[error("{0}")]
    Faults(Faults),
    /// An override has a fault.
    #[error(transparent)]
    Override(#[from] OverrideError),
    /// The whole makes no sense.
    #[error("{key}: {message}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong and how to mend it.
        message: String,
    },
}

impl Config {
    /// Reads a file, lays the overrides over it in their order, and resolves relative paths against the file's directory.
    ///
    /// # Errors
    /// Every fault of the file at once, else the first of an override.
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::read(&path.display().to_string(), &text, directory, overrides)
    }

    fn read(name: &str, text: &str, directory: &Path, overrides: &[Override]) -> Result<Self, ConfigError> {
        let complete = overrides.is_empty();
        let mut tree = match yaml::parse_documents(name, text).map_err(ConfigError::Faults)?.first() {
            Some(node) => node.to_json(),
            None => Value::Object(serde_json::Map::new()),
        };
        // With overrides, a required key may come from one of them: shapes are checked on the merged tree then.
        if complete {
            yaml::from_str::<Self>(name, text).map_err(ConfigError::Faults)?;
        }
        for change in overrides {
            change.apply(&mut tree)?;
        }
        let mut config: Self = serde_json::from_value(tree)
            .map_err(|error| ConfigError::Value { key: "configuration", message: error.to_string() })?;
        config.resolve(directory);
        config.check()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "interfaces: [br0]\nfiles: [./files]\nsources: [{dir: machines, maxDelete: 2}]\n";

    fn read(text: &str, overrides: &[&str]) -> Result<Config, ConfigError> {
        let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
        Config::read("bootcode.yaml", text, Path::new("/etc/bootcode"), &overrides)
    }

    #[test]
    fn defaults_fill_what_is_not_said_and_paths_are_relative_to_the_file() {
        let config = read(FILE, &[]).unwrap();
        assert_eq!(config.http.listen.to_string(), "0.0.0.0:7080");
        assert_eq!(config.files, [Path::new("/etc/bootcode/files")]);
        assert_eq!(config.data_dir, Path::new("/var/lib/bootcode"));
        assert_eq!(config.sources[0].max_delete, 2);
    }

    #[test]
    fn overrides_win_in_their_order() {
        let config = read(FILE, &["store=memory", "http.listen=127.0.0.1:80", "store=sqlite"]).unwrap();
        assert_eq!(config.store, StoreKind::Sqlite);
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:80");
    }

    #[test]
    fn faults_name_their_place() {
        let fault = |text, overrides: &[&str]| read(text, overrides).unwrap_err().to_string();
        assert!(
            fault("interfaces: [br0]\nfile: [x]\n", &[]).starts_with("bootcode.yaml:2:1"),
            "an unknown key"
        );
        assert!(fault("store: memory\n", &[]).contains("interfaces"), "a missing key");
        assert!(fault(FILE, &["htp.listen=1"]).contains("htp"), "an override of nothing");
        assert!(fault("interfaces: []\n", &[]).contains("interfaces"), "an empty list");
    }
}
