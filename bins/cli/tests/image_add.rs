//! `bootcode image add`, with the server's registry on a socket of its own and mirrors that do as they like.

#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bootcode_tftp::registry::Digest;
use common::{
    bootcode, command,
    mirror::{Answer, Heads, asked_from, file, mirror, reply, secure},
    run, serve, serve_at,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What begins as zstd does and takes several requests.
fn image() -> Vec<u8> {
    let mut image: Vec<u8> = (0..20_000_000_u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    image[..4].copy_from_slice(b"\x28\xb5\x2f\xfd");
    image
}

fn hex(bytes: &[u8]) -> String {
    Digest::of(bytes).hex().to_owned()
}

struct Bed(tempfile::TempDir);

impl Bed {
    fn new() -> Self {
        let bed = Self(tempfile::tempdir().unwrap());
        serve(bed.path());
        bed
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    async fn say(&self, line: &str, code: i32, expected: &str) -> String {
        let (got, text) = bootcode(self.path(), line).await;
        assert_eq!(got, code, "{line}: {text}");
        assert!(text.contains(expected), "{line}: `{expected}` is not in: {text}");
        text
    }

    fn stored(&self, bytes: &[u8]) -> bool {
        fs::read(self.path().join("images/blobs/sha256").join(hex(bytes))).is_ok_and(|kept| kept == bytes)
    }

    /// Nothing was stored, and nothing is left of what came.
    async fn is_empty(&self) {
        self.say("image list", 0, "there is no image").await;
        for place in ["images/blobs/sha256", "images/.uploads"] {
            assert_eq!(fs::read_dir(self.path().join(place)).unwrap().count(), 0, "{place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_fetched_once_listed_and_removed() {
    let (bed, image) = (Bed::new(), image());
    let hex = hex(&image);
    let body = image.clone();
    let (mirror, heads) = mirror(move |head| match head.split(' ').nth(1).unwrap() {
        "/os/debian-12.tar.zst?key=secret" => {
            Answer::Closed(reply("302 Found", "location: /there\r\ncontent-length: 0\r\n", b""))
        }
        "/there" => file(&body),
        _ => Answer::Closed(reply("404 Not Found", "content-length: 0\r\n", b"")),
    })
    .await;
    let add =
        format!("image add http://u:secret@{mirror}/os/debian-12.tar.zst?key=secret --sha256 sha256:{hex}");
    let said = bed.say(&add, 0, &format!("os: {{image: debian-12.tar.zst, sha256: {hex}}}")).await;
    assert!(
        said.contains("added debian-12.tar.zst, 20000000 bytes of zstd") && !said.contains("secret"),
        "{said}"
    );
    assert!(bed.stored(&image));
    let asked = heads.all().len();
    let again = bed.say(&format!("{add} --name other:v1 -o json"), 0, "\"name\": \"other:v1\"").await;
    assert!(again.contains("nothing is sent"), "{again}");
    assert_eq!(heads.all().len(), asked, "the mirror is not asked again");
    let list = bed.say("image list", 0, "debian-12.tar.zst:latest").await;
    let what = ["other:v1", "os image, zstd", "20000000", &format!("sha256:{hex}")];
    assert!(what.iter().all(|what| list.contains(what)), "{list}");
    bed.say("image rm debian-12.tar.zst", 0, "removed debian-12.tar.zst").await;
    bed.say("image rm debian-12.tar.zst", 1, "MANIFEST_UNKNOWN").await;
    assert!(!bed.say("image list", 0, "other:v1").await.contains("debian"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_stored_with_the_digest_that_it_has_or_should_have() {
    let (bed, image) = (Bed::new(), image());
    let hex = hex(&image);
    fs::write(bed.path().join("disk.raw.zst"), &image).unwrap();
    let wrong = "0".repeat(64);
    let said = bed.say(&format!("image add disk.raw.zst --sha256 {wrong}"), 65, "nothing was stored").await;
    assert!(said.contains(&wrong) && said.contains(&hex), "{said}");
    bed.is_empty().await;
    bed.say("image add disk.raw.zst", 0, &hex).await;
    assert!(bed.stored(&image));
    bed.say("image add ./disk.raw.zst", 0, "nothing is sent").await;
    fs::write(bed.path().join("empty"), "").unwrap();
    for (line, code, expected) in [
        ("image add none.raw", 66, "none.raw cannot be read"),
        ("image add images --name x", 66, "no regular file"),
        ("image add empty", 65, "is empty"),
        ("image add disk.raw.zst --name A", 64, "lower case"),
        ("image add disk.raw.zst --sha256 0", 64, "64 hexadecimal digits"),
    ] {
        bed.say(line, code, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_its_digest_says_is_not_stored() {
    let bed = Bed::new();
    let image = image();
    let found = hex(&image);
    let (mirror, _) = mirror(move |_| file(&image)).await;
    let expected = "1".repeat(64);
    let said = bed.say(&format!("image add http://{mirror}/a.zst --sha256 {expected}"), 65, &expected).await;
    assert!(said.contains(&found) && said.contains("nothing was stored"), "{said}");
    bed.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_goes_on_where_it_broke() {
    let (bed, image) = (Bed::new(), image());
    let (hex, body) = (hex(&image), image.clone());
    let asked = AtomicUsize::new(0);
    let (mirror, heads): (String, Heads) = mirror(move |head| {
        let total = body.len();
        let part = |from: usize, to: usize, etag: &str| {
            let range = format!("content-range: bytes {from}-{}/{total}\r\n", total - 1);
            let headers = format!("content-length: {}\r\n{range}etag: \"{etag}\"\r\n", total - from);
            Answer::Closed(reply("206 Partial Content", &headers, &body[from..to]))
        };
        match (asked.fetch_add(1, Ordering::Relaxed), asked_from(head)) {
            (0, None) => {
                let headers = format!("content-length: {total}\r\netag: \"a\"\r\n");
                Answer::Closed(reply("200 OK", &headers, &body[..9_000_000]))
            }
            (1, Some(from)) => part(from, from + 3_000_000, "a"),
            (2, Some(_)) => Answer::Closed(reply("503 Busy", "content-length: 0\r\n", b"")),
            // One of its mirrors has another tag for the same file, so the condition does not hold there.
            (_, Some(_)) => file(&body),
            (n, None) => panic!("request {n}: {head}"),
        }
    })
    .await;
    bed.say(&format!("image add http://{mirror}/a.zst --sha256 {hex}"), 0, "added a.zst").await;
    assert!(bed.stored(&image));
    let heads = heads.all();
    assert_eq!(heads.len(), 4);
    assert!(asked_from(&heads[1]).unwrap() > 0 && heads[1].contains("if-range: \"a\""), "{}", heads[1]);
    assert!(asked_from(&heads[2]) > asked_from(&heads[1]), "what came the second time counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_fetched_is_named_with_its_cause() {
    let bed = Bed::new();
    let (mirror, heads) = mirror(|head| {
        Answer::Closed(match head.split(' ').nth(1).unwrap() {
            "/loop" => reply("301 Moved", "location: /loop\r\ncontent-length: 0\r\n", b""),
            "/huge" => reply("200 OK", "content-length: 100000000000000\r\n", b"abc"),
            "/part" => {
                reply("206 Partial Content", "content-range: bytes 5-9/10\r\ncontent-length: 5\r\n", b"abcde")
            }
            "/none" => reply("404 Not Found", "content-length: 0\r\n", b""),
            _ => b"SSH-2.0-x\r\n".to_vec(),
        })
    })
    .await;
    let sum = "0".repeat(64);
    for (line, code, expected) in [
        (format!("image add http://{mirror}/none --sha256 {sum}"), 66, "status 404"),
        (format!("image add http://{mirror}/loop --sha256 {sum}"), 69, "redirect"),
        (format!("image add http://{mirror}/huge --sha256 {sum}"), 65, "more than a server keeps"),
        (format!("image add http://{mirror}/part --sha256 {sum}"), 65, "another file"),
        (format!("image add http://{mirror}/ssh --sha256 {sum}"), 69, "cannot be fetched"),
        (format!("image add http://127.0.0.1:1/x --sha256 {sum}"), 69, "cannot be fetched"),
        (format!("image add http://{mirror}/none"), 64, "write --sha256"),
        (format!("image add http://{mirror}/ --sha256 {sum}"), 64, "--name"),
        (format!("image add http://{mirror}/A.raw --sha256 {sum}"), 64, "--name"),
        (format!("image add ftp://{mirror}/x --sha256 {sum}"), 64, "nothing is fetched by ftp"),
        (format!("image add http://[/x --sha256 {sum}"), 64, "the URL cannot be read"),
    ] {
        bed.say(&line, code, expected).await;
    }
    let looped = heads.all().iter().filter(|head| head.starts_with("get /loop ")).count();
    assert_eq!(looped, 6, "the URL and five redirects");
    bed.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_a_length_is_stored_and_one_that_is_cut_short_is_not() {
    let (bed, image) = (Bed::new(), image());
    let (hex, body) = (hex(&image), image.clone());
    let (mirror, _) = mirror(move |head| {
        let headers = "transfer-encoding: chunked\r\n";
        let mut chunks = Vec::new();
        for chunk in body.chunks(1 << 20) {
            chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunks.extend_from_slice(chunk);
            chunks.extend_from_slice(b"\r\n");
        }
        chunks.extend_from_slice(b"0\r\n\r\n");
        match head.starts_with("get /cut ") {
            true => Answer::Closed(reply("200 OK", "", &body[..12_345_678])),
            false => Answer::Closed(reply("200 OK", headers, &chunks)),
        }
    })
    .await;
    bed.say(&format!("image add http://{mirror}/cut --sha256 {hex}"), 65, "12345678 bytes").await;
    bed.is_empty().await;
    bed.say(&format!("image add http://{mirror}/a.zst --sha256 {hex}"), 0, "added").await;
    assert!(bed.stored(&image));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_leaves_nothing_that_is_seen_and_the_next_try_is_whole() {
    let (bed, image) = (Bed::new(), image());
    let (hex, body) = (hex(&image), image.clone());
    let (asked, written) = (AtomicUsize::new(0), Arc::new(tokio::sync::Notify::new()));
    let tell = Arc::clone(&written);
    let (mirror, _) = mirror(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => {
            let head = "content-length: 20000000\r\n";
            Answer::Held(reply("200 OK", head, &body[..17_000_000]), Arc::clone(&tell))
        }
        _ => file(&body),
    })
    .await;
    let add = format!("image add http://{mirror}/a.zst --sha256 {hex}");
    let mut child = command(bed.path(), &add).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The client has all but what sockets hold.
    written.notified().await;
    let uploads = fs::read_dir(bed.path().join("images/.uploads")).unwrap();
    assert_eq!(uploads.count(), 1, "it is in the middle of it");
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let status = tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(130));
    bed.say("image list", 0, "there is no image").await;
    assert_eq!(fs::read_dir(bed.path().join("images/blobs/sha256")).unwrap().count(), 0);
    bed.say(&add, 0, "added a.zst").await;
    assert!(bed.stored(&image));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_connection_breaks_goes_on_where_it_broke() {
    let (bed, image) = (Bed(tempfile::tempdir().unwrap()), image());
    serve_at(bed.path(), "real.sock");
    // Between them a connection breaks in the middle of a chunk, three times.
    let broken = Arc::new(AtomicUsize::new(0));
    let (listener, real) =
        (tokio::net::UnixListener::bind(bed.path().join("api.sock")).unwrap(), bed.path().join("real.sock"));
    let counted = Arc::clone(&broken);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = tokio::net::UnixStream::connect(&real).await.unwrap();
            let broken = Arc::clone(&counted);
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let back =
                    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let (mut buffer, mut len) = (vec![0; 64 << 10], 0);
                while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                    len += read;
                    if len > 3 << 20 && broken.fetch_add(1, Ordering::Relaxed) < 3 {
                        back.abort();
                        return;
                    }
                    if to_server.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
                drop(to_server);
                let _ = back.await;
            });
        }
    });
    fs::write(bed.path().join("a.zst"), &image).unwrap();
    bed.say("image add a.zst", 0, "added a.zst").await;
    assert!(broken.load(Ordering::Relaxed) >= 3, "nothing broke");
    assert!(bed.stored(&image));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_https_only_from_those_whom_the_system_trusts() {
    let (bed, image) = (Bed::new(), image());
    let (hex, body) = (hex(&image), image.clone());
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (secure, _) = secure(tls, move |_| file(&body)).await;
    let port = secure.rsplit_once(':').unwrap().1.to_owned();
    let location = format!("location: https://localhost:{port}/a.zst\r\ncontent-length: 0\r\n");
    let (plain, _) = mirror(move |_| Answer::Closed(reply("301 Moved", &location, b""))).await;
    fs::write(bed.path().join("ca.pem"), cert.pem()).unwrap();
    let trusting = |line: &str| -> Command {
        let mut command = command(bed.path(), line);
        command.env("SSL_CERT_FILE", "ca.pem").env_remove("SSL_CERT_DIR");
        command
    };
    // Plain HTTP may lead there, too.
    for url in [format!("https://localhost:{port}/a.zst"), format!("http://{plain}/a.zst")] {
        let line = format!("image add {url} --sha256 {hex}");
        let mut distrusting = command(bed.path(), &line);
        distrusting.env("SSL_CERT_FILE", "none.pem").env("SSL_CERT_DIR", "none");
        let (code, text) = run(distrusting).await;
        assert!((code == 77 || code == 69) && text.contains("cannot be fetched"), "{code}: {text}");
        bed.is_empty().await;
    }
    let (code, text) = run(trusting(&format!("image add http://{plain}/a.zst --sha256 {hex}"))).await;
    assert_eq!(code, 0, "{text}");
    assert!(bed.stored(&image));
}
