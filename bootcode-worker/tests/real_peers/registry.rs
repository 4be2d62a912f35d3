//! A registry with a few small images, on loopback. Written apart from ours, so that the one does not confirm the other.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub(crate) struct Registry {
    pub(crate) url: String,
    /// busybox alone.
    pub(crate) plain: String,
    /// The same with a layer that adds, replaces and removes.
    pub(crate) layered: String,
    /// One whose layer is not what its digest says.
    pub(crate) damaged: String,
    /// One whose entry point is not in it.
    pub(crate) no_entry: String,
}

#[derive(Default)]
struct Blobs {
    by_digest: HashMap<String, (String, Vec<u8>)>,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let mut blobs = Blobs::default();
        let busybox = std::fs::read("/bin/busybox").expect("busybox-static is needed");
        let applets = ["sh", "cat", "echo", "ls", "test", "sleep", "dd", "tr", "true"];
        let mut base = vec![
            ("bin/busybox", Item::File(&busybox)),
            ("etc/gone", Item::File(b"old\n")),
            ("etc/replaced", Item::File(b"old\n")),
        ];
        let links: Vec<String> = applets.iter().map(|applet| format!("bin/{applet}")).collect();
        base.extend(links.iter().map(|link| (link.as_str(), Item::Link)));
        let base = blobs.layer(&base);
        // The same digest again with other bytes: found out on the way.
        let top = blobs.layer(&[
            ("etc/added", Item::File(b"added\n")),
            ("etc/.wh.gone", Item::File(b"")),
            ("etc/.wh.replaced", Item::File(b"")),
            ("etc/replaced/new", Item::File(b"")),
        ]);
        let damaged = blobs.layer(&[("etc/damaged", Item::File(b"as it was\n"))]);
        if let Some((_, bytes)) = blobs.by_digest.get_mut(&damaged.1) {
            let at = bytes.windows(9).position(|part| part == b"as it was").unwrap();
            bytes[at] = b'A';
        }
        let plain = blobs.image(&["/bin/sh"], std::slice::from_ref(&base));
        let layered = blobs.image(&["/bin/sh"], &[base.clone(), top]);
        let damaged = blobs.image(&["/bin/sh"], &[base.clone(), damaged]);
        let no_entry = blobs.image(&["/bin/nothing"], &[base]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let blobs = Arc::new(blobs);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let blobs = Arc::clone(&blobs);
                std::thread::spawn(move || serve(&stream, &blobs));
            }
        });
        Self { url, plain, layered, damaged, no_entry }
    }

    pub(crate) fn images(&self) -> [(&str, &str); 4] {
        [
            ("plain", &self.plain),
            ("layered", &self.layered),
            ("damaged", &self.damaged),
            ("no-shell", &self.no_entry),
        ]
    }
}

enum Item<'a> {
    File(&'a [u8]),
    /// To busybox.
    Link,
}

impl Blobs {
    fn put(&mut self, media_type: &str, bytes: Vec<u8>) -> String {
        let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = format!("sha256:{hex}");
        self.by_digest.insert(digest.clone(), (media_type.to_owned(), bytes));
        digest
    }

    /// Size and digest.
    fn layer(&mut self, items: &[(&str, Item<'_>)]) -> (usize, String) {
        let mut builder = Builder::new(Vec::new());
        for (path, item) in items {
            let mut header = Header::new_gnu();
            header.set_mode(0o755);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            match item {
                Item::File(data) => {
                    header.set_size(data.len() as u64);
                    builder.append_data(&mut header, path, *data).unwrap();
                }
                Item::Link => {
                    header.set_size(0);
                    header.set_entry_type(EntryType::Symlink);
                    builder.append_link(&mut header, path, "busybox").unwrap();
                }
            }
        }
        let bytes = builder.into_inner().unwrap();
        (bytes.len(), self.put(LAYER, bytes))
    }

    fn image(&mut self, entry: &[&str], layers: &[(usize, String)]) -> String {
        // Uncompressed, so the layers' digests are those of their tars as well.
        let diff_ids: Vec<&String> = layers.iter().map(|layer| &layer.1).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "config": {"Entrypoint": entry, "Env": ["PATH=/bin", "GREETING=from the image"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = config.to_string().into_bytes();
        let config_type = "application/vnd.oci.image.config.v1+json";
        let config_size = config.len();
        let config = self.put(config_type, config);
        let layers: Vec<_> = layers
            .iter()
            .map(|(size, digest)| json!({"mediaType": LAYER, "size": size, "digest": digest}))
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
            "config": {"mediaType": config_type, "size": config_size, "digest": config},
        });
        self.put(MANIFEST, manifest.to_string().into_bytes())
    }
}

fn serve(stream: &TcpStream, blobs: &Blobs) {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut words = request.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let digest = path.rsplit('/').next().unwrap_or_default();
        let (status, media_type, body) = match blobs.by_digest.get(digest) {
            _ if path == "/v2/" => ("200 OK", "application/json", &b"{}"[..]),
            Some((media_type, bytes)) => ("200 OK", media_type.as_str(), &bytes[..]),
            None => {
                ("404 Not Found", "application/json", &b"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}"[..])
            }
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nDocker-Distribution-Api-Version: registry/2.0\r\nDocker-Content-Digest: {digest}\r\n\
             Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let body = if method == "HEAD" { &[][..] } else { body };
        if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body)).is_err() {
            return;
        }
    }
}
