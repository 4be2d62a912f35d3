//! Who this worker is: from the kernel's command line, and what makes one boot of a machine different from another.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::limits;

/// What a worker needs to open its session.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The boot token.
    pub token: String,
    /// The same as long as the machine runs, so that a restarted worker gets its session again.
    pub nonce: String,
    /// The kernel's boot id: another one means that the machine restarted.
    pub boot_id: String,
}

/// What the command line says to the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelArgs {
    /// `bootcode.server=http://192.168.99.1:7080`.
    pub server: String,
    /// Who it is.
    pub who: Who,
}

/// Who a worker is, and the token that says so, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Who {
    /// A declared machine's: `bootcode.worker=node-1 bootcode.token=`.
    Machine {
        /// The Hardware's name.
        worker: String,
        /// Opens its session.
        token: String,
    },
    /// One on a machine that nobody declared: `bootcode.inventory=`.
    Undeclared {
        /// Takes its inventory, and nothing else.
        token: String,
    },
}

/// Why a worker does not know who it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file of the kernel or of ours.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A key is missing.
    #[error("the kernel command line has bootcode.server= but no {key}=: the server's iPXE script gives it")]
    Missing {
        /// Which.
        key: &'static str,
    },
    /// The kernel gave no randomness.
    #[error("the kernel gives no randomness: {source}")]
    Random {
        /// The cause.
        #[source]
        source: getrandom::Error,
    },
    /// The token file is empty.
    #[error("{path} is empty: it must hold the worker's token")]
    Empty {
        /// Which.
        path: PathBuf,
    },
}

impl KernelArgs {
    /// Reads a whole kernel command line; `None` where it is not one of OSIE.
    ///
    /// # Errors
    /// `bootcode.server=` is there and another key is not.
    pub fn parse(line: &str) -> Result<Option<Self>, IdentityError> {
        let value = |key: &str| {
            let mut values =
                line.split_ascii_whitespace().filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            // As in the kernel, the last counts.
            values
                .next_back()
                .map(|value| value.trim_matches('"').to_owned())
                .filter(|value| !value.is_empty())
        };
        let Some(server) = value("bootcode.server") else { return Ok(None) };
        if let Some(token) = value("bootcode.inventory") {
            return Ok(Some(Self { server, who: Who::Undeclared { token } }));
        }
        let worker = value("bootcode.worker").ok_or(IdentityError::Missing { key: "bootcode.worker" })?;
        let token = value("bootcode.token").ok_or(IdentityError::Missing { key: "bootcode.token" })?;
        Ok(Some(Self { server, who: Who::Machine { worker, token } }))
    }

    /// Of the running kernel.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn of_this_boot() -> Result<Option<Self>, IdentityError> {
        Self::parse(&read("/proc/cmdline".as_ref(), limits::CMDLINE_BYTES)?)
    }
}

impl Identity {
    /// With the nonce in `dir`, which must not outlive the boot (`/run/bootcode`): made at the first start.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn of_this_boot(token: String, dir: &Path) -> Result<Self, IdentityError> {
        let boot_id = read("/proc/sys/kernel/random/boot_id".as_ref(), limits::ATTRIBUTE_BYTES)?;
        Ok(Self { token, nonce: nonce(&dir.join("nonce"))?, boot_id: boot_id.trim().to_owned() })
    }
}

/// The token in a file, without the line's end.
///
/// # Errors
/// The file cannot be read or holds nothing.
pub fn read_token(path: &Path) -> Result<String, IdentityError> {
    let token = read(path, limits::TOKEN_BYTES)?.trim().to_owned();
    if token.is_empty() { Err(IdentityError::Empty { path: path.to_owned() }) } else { Ok(token) }
}

/// The nonce in a file, or a new one, 128 bits.
fn nonce(path: &Path) -> Result<String, IdentityError> {
    let fault = |action| move |source| IdentityError::File { action, path: path.to_owned(), source };
    let whole = |text: &String| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(nonce) = read(path, limits::TOKEN_BYTES).ok().map(|text| text.trim().to_owned()).filter(whole)
    {
        return Ok(nonce);
    }
    let random = random()?;
    let nonce: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(fault("make the directory of"))?;
    }
    let partial = path.with_extension("partial");
    let mut options = File::options();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(&partial).map_err(fault("write"))?;
    file.write_all(nonce.as_bytes()).and_then(|()| file.sync_all()).map_err(fault("write"))?;
    fs::rename(&partial, path).map_err(fault("write"))?;
    Ok(nonce)
}

/// Randomness, even on a machine without any source of it, where the kernel would let us wait for ever: the nonce tells
/// boots apart, the secret is the token.
fn random() -> Result<[u8; 16], IdentityError> {
    let mut random = [0; 16];
    if kernel_is_seeded() {
        getrandom::fill(&mut random).map_err(|source| IdentityError::Random { source })?;
        return Ok(random);
    }
    tracing::warn!("the kernel has found no entropy yet; the nonce is made of what there is");
    let path = Path::new("/dev/urandom");
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut random))
        .map_err(|source| IdentityError::File { action: "read", path: path.to_owned(), source })?;
    Ok(random)
}

/// Waits for the kernel's generator within bounds; it can be read once `/dev/random` can.
fn kernel_is_seeded() -> bool {
    let Ok(file) = File::open("/dev/random") else { return true };
    let wait = PollTimeout::try_from(limits::ENTROPY).unwrap_or(PollTimeout::ZERO);
    poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLIN)], wait).is_ok_and(|ready| ready > 0)
}

fn read(path: &Path, bound: u64) -> Result<String, IdentityError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(bound).read_to_string(&mut text))
        .map_err(|source| IdentityError::File { action: "read", path: path.to_owned(), source })?;
    Ok(text)
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine { worker, .. } => {
                f.debug_struct("Machine").field("worker", worker).finish_non_exhaustive()
            }
            Self::Undeclared { .. } => f.debug_struct("Undeclared").finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("boot_id", &self.boot_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_names_server_worker_and_token() {
        let line = "console=ttyS0 bootcode.server=http://old bootcode.server=http://10.0.0.1:7080 \
            bootcode.worker=node-1 bootcode.token=se.cret bootcode.mac=52:54:00:00:00:01\n";
        let args = KernelArgs::parse(line).unwrap().unwrap();
        let who = Who::Machine { worker: "node-1".to_owned(), token: "se.cret".to_owned() };
        assert_eq!((&*args.server, args.who == who), ("http://10.0.0.1:7080", true));
        assert!(!format!("{args:?}").contains("se.cret"));
        assert!(KernelArgs::parse("console=ttyS0 xbootcode.server=y").unwrap().is_none());
    }

    #[test]
    fn a_machine_that_nobody_declared_has_a_token_and_no_name() {
        let args = KernelArgs::parse("bootcode.server=http://h bootcode.inventory=se.cret").unwrap().unwrap();
        assert!(args.who == Who::Undeclared { token: "se.cret".to_owned() });
        assert!(!format!("{args:?}").contains("se.cret"));
    }

    #[test]
    fn a_key_that_is_missing_is_named() {
        for (line, key) in [
            ("bootcode.server=s bootcode.token=t", "bootcode.worker"),
            ("bootcode.server=s bootcode.inventory=", "bootcode.worker"),
            ("bootcode.server=s bootcode.worker=w bootcode.token=", "bootcode.token"),
        ] {
            assert!(KernelArgs::parse(line).unwrap_err().to_string().contains(key), "{line}");
        }
    }

    #[test]
    fn the_nonce_stays_the_same_and_a_half_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/nonce");
        let first = nonce(&path).unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(nonce(&path).unwrap(), first);
        fs::write(&path, &first[..8]).unwrap();
        let second = nonce(&path).unwrap();
        assert_eq!(second.len(), 32);
        assert_ne!(second, first);
    }
}
