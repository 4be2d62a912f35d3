//! `bootcode.yaml`, its defaults and what overrides it.

mod connections;
mod downloads;
mod file;
mod overrides;

pub use connections::ConnectionLimits;
pub use downloads::LargeFiles;
pub use file::{Api, ApiTls, Config, Http, HttpTls, Registry, Retention, SourceDir, StoreKind, Syslog, Tftp};
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
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(failed)?;
        let name = path.display().to_string();
        let text = yaml::utf8(&name, &bytes).map_err(ConfigError::Faults)?;
        let absolute = std::path::absolute(path).map_err(failed)?;
        Self::read(&name, text, absolute.parent().unwrap_or(Path::new("/")), overrides)
    }

    fn read(name: &str, text: &str, directory: &Path, overrides: &[Override]) -> Result<Self, ConfigError> {
        let mut tree = match yaml::parse_documents(name, text).map_err(ConfigError::Faults)?.first() {
            Some(node) => node.to_json(),
            None => Value::Object(serde_json::Map::new()),
        };
        let alone = yaml::from_str::<Self>(name, text);
        if overrides.is_empty() {
            alone.as_ref().map_err(|faults| ConfigError::Faults(faults.clone()))?;
        }
        for change in overrides {
            change.apply(&mut tree)?;
        }
        let set = tree.as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default();
        let mut config = Self::of_tree(&tree).map_err(|faults| match alone {
            // With overrides the file's faults may be mended by them; where they are not, the file's have a place.
            Err(of_file) if overrides.iter().all(|change| !change.is_at_fault(&faults)) => {
                ConfigError::Faults(of_file)
            }
            _ => ConfigError::Faults(faults),
        })?;
        config.set = set;
        config.resolve(directory);
        config.check()?;
        Ok(config)
    }

    fn of_tree(tree: &Value) -> Result<Self, Faults> {
        let text = yaml::to_string(tree).unwrap_or_default();
        yaml::from_str(MERGED, &text).map_err(|mut faults| {
            // Lines of a text that nobody wrote say nothing.
            faults.0.iter_mut().for_each(|fault| fault.line = 0);
            faults
        })
    }
}

/// What faults of file and overrides together are listed under.
const MERGED: &str = "the configuration with --set and BOOTCODE_ variables";

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
        assert_eq!(config.retention.logs(), std::time::Duration::from_secs(7_776_000));
    }

    #[test]
    fn large_downloads_have_bounds_that_make_sense() {
        use bootcode_tftp::http::LargeDownloads;
        assert_eq!(read(FILE, &[]).unwrap().http.large_downloads.limits(), LargeDownloads::default());
        let some = "http: {largeDownloads: {fromMib: 2, megabitsPerSecond: 8000}}\n";
        let some = read(&format!("{FILE}{some}"), &["http.largeDownloads.parallel=3"]).unwrap();
        let expected = LargeDownloads {
            from_bytes: 2 << 20,
            parallel: 3,
            bytes_per_second: std::num::NonZeroU64::new(1_000_000_000),
        };
        assert_eq!(some.http.large_downloads.limits(), expected);
        for (key, value, remedy) in [
            ("fromMib", "0", "1 at least"),
            ("parallel", "0", "as in 64"),
            ("parallel", "100001", "from 1 to 100000"),
            ("megabitsPerSecond", "0", "or leave it out"),
            ("megabitsPerSecond", "10000001", "as in 10000 for 10 Gb/s"),
        ] {
            let key = format!("http.largeDownloads.{key}");
            let fault = read(FILE, &[&format!("{key}={value}")]).unwrap_err().to_string();
            assert!(fault.starts_with(&key) && fault.contains(remedy), "{fault}");
        }
    }

    #[test]
    fn connections_have_bounds_that_make_sense() {
        let default = read(FILE, &[]).unwrap().http.connections;
        assert_eq!(default, ConnectionLimits::default());
        let some = "http: {connections: {total: 100, perAddress: 4, idleSeconds: 5}}\n";
        let some = read(&format!("{FILE}{some}"), &["http.connections.stallSeconds=3600"]).unwrap();
        let expected = ConnectionLimits {
            total: 100,
            per_address: Some(4),
            idle_seconds: 5,
            stall_seconds: 3600,
            ..default
        };
        assert_eq!(some.http.connections, expected);
        let misspelt = read(&format!("{FILE}http: {{connections: {{headseconds: 5}}}}\n"), &[]).unwrap_err();
        assert!(misspelt.to_string().starts_with("bootcode.yaml:4:"), "{misspelt}");
        for (key, value, remedy) in [
            ("total", "0", "as in 20000"),
            ("total", "1000001", "from 1 to 1000000"),
            ("perAddress", "0", "or leave it out"),
            ("perAddress", "20001", "to that of http.connections.total"),
            ("headSeconds", "0", "as in 30"),
            ("headSeconds", "3601", "from 1 to 3600"),
            ("idleSeconds", "0", "as in 30"),
            ("idleSeconds", "3601", "from 1 to 3600"),
            ("stallSeconds", "0", "as in 60"),
            ("stallSeconds", "3601", "from 1 to 3600"),
        ] {
            let key = format!("http.connections.{key}");
            let fault = read(FILE, &[&format!("{key}={value}")]).unwrap_err().to_string();
            assert!(fault.starts_with(&key) && fault.contains(remedy), "{fault}");
        }
    }

    #[test]
    fn proxies_are_networks() {
        let config =
            read(&format!("{FILE}http: {{trustedProxies: [10.0.0.9/32, \"fd00::/64\"]}}\n"), &[]).unwrap();
        assert_eq!(config.http.trusted_proxies.len(), 2);
        assert_eq!(config.http.listen.port(), 7080);
        let error = read(&format!("{FILE}http: {{trustedProxies: [10.0.0.9]}}\n"), &[]).unwrap_err();
        assert!(error.to_string().contains("4:"), "{error}");
    }

    #[test]
    fn the_operators_other_listeners_are_asked_for_and_never_plain_to_others() {
        assert_eq!(read(FILE, &[]).unwrap().api.tls, None);
        let own = read(&format!("{FILE}api: {{tls: {{}}}}\n"), &[]).unwrap().api;
        assert_eq!(own.tls.unwrap().listen.to_string(), "0.0.0.0:7443");
        assert_eq!(own.socket, Path::new("/run/bootcode/api.sock"));
        let brought = "api: {tls: {certificate: a.pem, key: /k.pem}, loopback: \"[::1]:7081\"}\n";
        let brought = read(&format!("{FILE}{brought}"), &[]).unwrap().api.tls.unwrap();
        assert_eq!(brought.certificate.as_deref(), Some(Path::new("/etc/bootcode/a.pem")));
        let fault = |api: &str| read(&format!("{FILE}api: {api}\n"), &[]).unwrap_err().to_string();
        assert!(fault("{tls: {certificate: a.pem}}").contains("belong together"));
        assert!(fault("{loopback: 10.0.0.1:7081}").contains("write 127.0.0.1:7081"));
    }

    #[test]
    fn overrides_win_in_their_order() {
        let config = read(FILE, &["store=memory", "http.listen=127.0.0.1:80", "store=sqlite"]).unwrap();
        assert_eq!(config.store, StoreKind::Sqlite);
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:80");
    }

    #[test]
    fn what_nobody_set_is_a_default() {
        let config = read("interfaces: [br0]\nimages: ./images\n", &["osie=./osie"]).unwrap();
        for (key, default) in [("images", false), ("osie", false), ("files", true), ("ipxe", true)] {
            assert_eq!(config.is_default(key), default, "{key}");
        }
    }

    #[test]
    fn a_variable_that_is_no_key_is_told() {
        let variables =
            ["BOOTCODE_HTP_LISTEN", "BOOTCODE_HTTP_LISTEN", "BOOTCODE_SERVER", "BOOTCODE_LOG", "HOME"];
        let unknown = Override::unknown_of_environment(variables.map(str::to_owned));
        assert_eq!(unknown, ["BOOTCODE_HTP_LISTEN"]);
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
        let merged = fault(FILE, &["http.listen=99999"]);
        assert!(merged.contains("http.listen") && merged.contains("99999"), "{merged}");
        let of_file = fault("interfaces: [br0]\nfile: [x]\n", &["store=memory"]);
        assert!(of_file.starts_with("bootcode.yaml:2:1"), "a fault of the file keeps its place: {of_file}");
        assert!(fault("interfaces: [br0, br0]\n", &[]).contains("twice"), "an interface twice");
        let at_once = fault(FILE, &["retention.logDays=0"]);
        assert!(at_once.contains("retention.logDays") && at_once.contains("1 at least"), "{at_once}");
        for upstream in ["ftp://x", "https://", "https://u@x", "https://x/v2", "x"] {
            let no_registry = fault(FILE, &[&format!("registry.upstream={upstream}")]);
            assert!(no_registry.contains("write https://HOST"), "{upstream}: {no_registry}");
        }
        assert!(fault("interfaces: []\n", &[]).contains("interfaces"), "an empty list");
    }
}
