//! Secrets: read where their documents say, each time that one is asked for.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use bootcode_core::{
    document::{Kind, SecretOrigin, SecretSpec},
    limits::SECRET_BYTES,
    secret::{Secret, SecretError, SecretRef, SecretSource},
    store::{Key, Store},
};
use nix::fcntl::OFlag;

/// The secrets that a store's Secret documents name.
pub(crate) struct StoredSecrets {
    store: Arc<dyn Store>,
}

impl StoredSecrets {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    async fn origin(&self, reference: &SecretRef) -> Result<SecretOrigin, String> {
        let document = reference.document();
        let stored = self.store.get(&Key::new(Kind::Secret.name(), document)).await;
        let stored = stored.map_err(|error| format!("the store failed: {error}"))?;
        let stored = stored.ok_or_else(|| format!("there is no Secret `{document}`: apply one"))?;
        let spec: SecretSpec = serde_json::from_value(stored.value["spec"].clone())
            .map_err(|error| format!("Secret `{document}` cannot be read: {error}"))?;
        let origin = spec.keys.get(reference.key()).cloned();
        origin.ok_or_else(|| format!("Secret `{document}` has no key `{}`", reference.key()))
    }

    async fn value(&self, reference: &SecretRef) -> Result<Secret, String> {
        let origin = self.origin(reference).await?;
        let read = tokio::task::spawn_blocking(move || read(&origin)).await;
        let value = read.map_err(|error| format!("reading it was cut off: {error}"))??;
        if value.reveal().contains('\0') {
            return Err("it has a NUL in it, which no variable can hold".to_owned());
        }
        if value.reveal().is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(value)
    }
}

#[async_trait]
impl SecretSource for StoredSecrets {
    async fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let fail = |problem| SecretError { reference: reference.clone(), problem };
        self.value(reference).await.map_err(fail)
    }
}

fn read(origin: &SecretOrigin) -> Result<Secret, String> {
    match (&origin.file, &origin.env) {
        (Some(path), None) => file(Path::new(path)),
        (None, Some(name)) => variable(name, std::env::var_os(name)),
        _ => Err("its Secret says neither a `file` nor a variable (`env`), or both".to_owned()),
    }
}

fn variable(name: &str, value: Option<std::ffi::OsString>) -> Result<Secret, String> {
    let value = value.ok_or_else(|| format!("the server was started without the variable {name}"))?;
    if value.len() > SECRET_BYTES {
        return Err(format!("the variable {name} has more than {SECRET_BYTES} bytes"));
    }
    value.into_string().map(Secret::new).map_err(|_| format!("the variable {name} is no UTF-8 text"))
}

/// A file's text without the newline at its end, which every editor adds.
fn file(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    if !path.is_absolute() {
        return Err(format!("{shown} is not absolute: write the whole path, as it is on the server"));
    }
    let failed = |error: std::io::Error| format!("{shown} cannot be read: {error}");
    // A pipe that nobody writes to would be waited for.
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file = fs::File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o777;
    if !metadata.is_file() {
        return Err(format!("{shown} is no regular file"));
    }
    if mode & 0o002 != 0 {
        return Err(format!("everybody may write {shown}: `chmod o-w` it"));
    }
    if mode & 0o004 != 0 {
        tracing::warn!(path = %shown, "every user of this host may read a secret: `chmod o-r` its file");
    }
    // Room for all of it from the start: a buffer that grows would leave copies behind.
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(SECRET_BYTES + 1));
    file.take(SECRET_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > SECRET_BYTES {
        return Err(format!("{shown} has more than {SECRET_BYTES} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{shown} is no UTF-8 text"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}

#[cfg(test)]
mod tests {
    use bootcode_core::store::{Batch, MemoryStore};
    use serde_json::json;

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn a_secret_is_read_where_its_document_says_and_what_is_wrong_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        for (name, bytes) in [
            ("good", &b"hunter2\n"[..]),
            ("lines", b"one\ntwo\n\n"),
            ("windows", b"hunter2\r\n"),
            ("empty", b"\n"),
            ("binary", b"\xff\xfe"),
            ("nul", b"a\0b"),
            ("bound", &vec![b'x'; SECRET_BYTES]),
            ("large", &vec![b'x'; SECRET_BYTES + 1]),
            ("open", b"x"),
        ] {
            fs::write(dir.path().join(name), bytes).unwrap();
            mode(&dir.path().join(name), 0o600);
        }
        mode(&dir.path().join("open"), 0o602);
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let files = [
            "good", "lines", "windows", "empty", "binary", "nul", "bound", "large", "open", "pipe", "missing",
        ];
        let mut keys: serde_json::Map<_, _> =
            files.iter().map(|name| ((*name).to_owned(), json!({"file": path(name)}))).collect();
        keys.insert("relative".to_owned(), json!({"file": "good"}));
        keys.insert("variable".to_owned(), json!({"env": "PATH"}));
        keys.insert("unset".to_owned(), json!({"env": "BOOTCODE_TEST_IS_NOT_SET"}));
        keys.insert("both".to_owned(), json!({"env": "PATH", "file": "/x"}));
        let store = Arc::new(MemoryStore::new());
        let document = json!({"apiVersion": "bootcode/v1", "kind": "Secret", "metadata": {"name": "s"},
            "spec": {"keys": keys}});
        let batch = Batch { puts: vec![(Key::new("Secret", "s"), document)], ..Batch::default() };
        store.commit(batch).await.unwrap();
        let secrets = StoredSecrets::new(store);
        let long = "x".repeat(SECRET_BYTES);
        let on_path = std::env::var("PATH").unwrap();
        for (key, expected) in [
            ("s/good", Ok("hunter2")),
            ("s/lines", Ok("one\ntwo\n")),
            ("s/windows", Ok("hunter2")),
            ("s/bound", Ok(long.as_str())),
            ("s/variable", Ok(on_path.as_str())),
            ("s/empty", Err("it is empty")),
            ("s/binary", Err("is no UTF-8 text")),
            ("s/nul", Err("NUL")),
            ("s/large", Err("has more than 65536 bytes")),
            ("s/open", Err("everybody may write")),
            ("s/pipe", Err("is no regular file")),
            ("s/missing", Err("No such file")),
            ("s/relative", Err("is not absolute")),
            ("s/unset", Err("without the variable BOOTCODE_TEST_IS_NOT_SET")),
            ("s/both", Err("or both")),
            ("s/none", Err("Secret `s` has no key `none`")),
            ("t/none", Err("there is no Secret `t`")),
        ] {
            let found = secrets.resolve(&key.parse().unwrap()).await;
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert!(found.reveal() == expected, "{key}"),
                (Err(error), Err(expected)) => {
                    let error = error.to_string();
                    assert!(error.starts_with(&format!("secret {key} cannot be read: ")), "{error}");
                    assert!(error.contains(expected), "{error}");
                }
                (found, expected) => panic!("{key}: {found:?}, expected {expected:?}"),
            }
        }
    }
}
