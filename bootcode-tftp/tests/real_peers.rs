//! Clients that other people wrote, from Debian's packages `curl`, `wget`, `tftp-hpa`, `atftp`, `busybox-static` and `skopeo`.
//!
//! With `BOOTCODE_REAL_PEERS=1` a missing one fails its test; without, it is said and passed over.
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{net::SocketAddr, sync::Arc};

use bootcode_core::{clock::SystemClock, files::Dir, timeline::BootEventKind};
use bootcode_tftp::TftpServer;
use bootcode_tftp::http::Downloads;
use common::{Timeline, content, peers::client};
use tokio_util::sync::CancellationToken;

struct Bed {
    server: SocketAddr,
    timeline: Timeline,
    served: tempfile::TempDir,
    fetched: tempfile::TempDir,
    cancel: CancellationToken,
}

async fn bed() -> Bed {
    let (served, fetched) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(served.path().join("file"), content(1_000_003)).unwrap();
    let source = Arc::new(Dir::new(served.path()).unwrap());
    let (timeline, cancel) = (Timeline::default(), CancellationToken::new());
    let recorder = Arc::new(timeline.clone());
    let server = TftpServer::bind("127.0.0.1:0".parse().unwrap(), source, recorder, Arc::new(SystemClock))
        .await
        .unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.run(cancel.clone()));
    Bed { server: address, timeline, served, fetched, cancel }
}

impl Bed {
    async fn finished(&self) {
        let events = self.timeline.of_len(2).await;
        assert_eq!(events[1], BootEventKind::TftpFinished { file: "file".to_owned(), bytes: 1_000_003 });
        assert!(std::fs::read(self.fetched.path().join("out")).unwrap() == content(1_000_003));
        self.cancel.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_fetches_by_tftp_in_small_and_large_blocks() {
    for blksize in ["512", "1468", "65464"] {
        let bed = bed().await;
        let url = format!("tftp://{}/file", bed.server);
        let arguments = ["-sS", "--tftp-blksize", blksize, "-o", "out", &url];
        let Some(output) = client("curl", &arguments, bed.fetched.path()).await else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        bed.finished().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_is_told_that_there_is_no_such_file() {
    let bed = bed().await;
    let url = format!("tftp://{}/none", bed.server);
    let Some(output) = client("curl", &["-sS", &url], bed.fetched.path()).await else { return };
    // 68: CURLE_TFTP_NOTFOUND
    assert_eq!(output.status.code(), Some(68), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn tftp_hpa_fetches() {
    let bed = bed().await;
    let (ip, port) = (bed.server.ip().to_string(), bed.server.port().to_string());
    let arguments = ["-m", "binary", &ip, &port, "-c", "get", "file", "out"];
    let Some(output) = client("tftp", &arguments, bed.fetched.path()).await else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    bed.finished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn atftp_fetches_with_and_without_options() {
    let options: [&[&str]; 4] = [
        &[],
        &["--option", "blksize 1468"],
        &["--option", "blksize 1468", "--option", "windowsize 8", "--option", "tsize 0"],
        &["--option", "blksize 8192", "--option", "windowsize 64", "--option", "timeout 3"],
    ];
    for options in options {
        let bed = bed().await;
        let (ip, port) = (bed.server.ip().to_string(), bed.server.port().to_string());
        let get = ["-g", "-r", "file", "-l", "out", &ip, &port];
        let arguments = [options, &get].concat();
        let Some(output) = client("atftp", &arguments, bed.fetched.path()).await else { return };
        assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
        bed.finished().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn busybox_fetches_in_each_size_of_block() {
    for blksize in ["512", "64", "1468", "65464"] {
        let bed = bed().await;
        let (ip, port) = (bed.server.ip().to_string(), bed.server.port().to_string());
        let arguments = ["tftp", "-g", "-b", blksize, "-r", "file", "-l", "out", &ip, &port];
        let Some(output) = client("busybox", &arguments, bed.fetched.path()).await else { return };
        assert!(output.status.success(), "{blksize}: {}", String::from_utf8_lossy(&output.stderr));
        bed.finished().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_more_blocks_than_their_counter_has_numbers_comes_whole() {
    // At 512 bytes a block the counter passes 65,535 once.
    const BYTES: usize = 36_000_001;
    let bed = bed().await;
    std::fs::write(bed.served.path().join("large"), content(BYTES)).unwrap();
    let (ip, port) = (bed.server.ip().to_string(), bed.server.port().to_string());
    let busybox = ["tftp", "-g", "-r", "large", "-l", "out", &ip, &port];
    let hpa = ["-m", "binary", &ip, &port, "-c", "get", "large", "out"];
    let atftp = ["-g", "-r", "large", "-l", "out", &ip, &port];
    for (program, arguments) in [("busybox", &busybox[..]), ("tftp", &hpa[..]), ("atftp", &atftp[..])] {
        let out = bed.fetched.path().join("out");
        let Some(output) = client(program, arguments, bed.fetched.path()).await else { return };
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(std::fs::read(&out).unwrap() == content(BYTES), "{program}");
        std::fs::remove_file(out).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_is_told_that_there_is_no_such_file_and_that_nothing_is_taken() {
    let bed = bed().await;
    std::fs::write(bed.fetched.path().join("mine"), content(5_000)).unwrap();
    let (ip, port) = (bed.server.ip().to_string(), bed.server.port().to_string());
    let missing: [(&str, &[&str]); 3] = [
        ("tftp", &["-m", "binary", &ip, &port, "-c", "get", "none", "out"]),
        ("atftp", &["-g", "-r", "none", "-l", "out", &ip, &port]),
        ("busybox", &["tftp", "-g", "-r", "none", "-l", "out", &ip, &port]),
    ];
    let write: [(&str, &[&str]); 3] = [
        ("tftp", &["-m", "binary", &ip, &port, "-c", "put", "mine", "file"]),
        ("atftp", &["-p", "-l", "mine", "-r", "file", &ip, &port]),
        ("busybox", &["tftp", "-p", "-l", "mine", "-r", "file", &ip, &port]),
    ];
    let cases = missing.map(|case| (case, "no file none")).into_iter();
    for ((program, arguments), says) in cases.chain(write.map(|case| (case, "takes none"))) {
        let Some(output) = client(program, arguments, bed.fetched.path()).await else { return };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        // tftp-hpa ends with 0 or 1, whichever its version takes for polite; all of them print what they are told.
        assert!(said.contains(says), "{program} {arguments:?}: {said}");
    }
    assert!(std::fs::read(bed.served.path().join("file")).unwrap() == content(1_000_003));
}

#[tokio::test(flavor = "multi_thread")]
async fn netascii_has_the_line_ends_of_rfc_764_on_the_wire_and_ours_at_the_client() {
    let bed = bed().await;
    let text = "one\ntwo\n".repeat(4_000);
    std::fs::write(bed.served.path().join("text"), &text).unwrap();
    let (ip, port) = (bed.server.ip().to_string(), bed.server.port().to_string());
    let arguments = ["-m", "ascii", &ip, &port, "-c", "get", "text", "out"];
    let Some(output) = client("tftp", &arguments, bed.fetched.path()).await else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_to_string(bed.fetched.path().join("out")).unwrap(), text);
    let url = format!("tftp://{}/text;mode=netascii", bed.server);
    let Some(output) = client("curl", &["-sS", &url], bed.fetched.path()).await else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout), text.replace('\n', "\r\n"));
}

#[cfg(feature = "http")]
#[tokio::test(flavor = "multi_thread")]
async fn curl_and_wget_fetch_by_http_resume_and_revalidate() {
    let bed = bed().await;
    let source = Arc::new(Dir::new(bed.served.path()).unwrap());
    let router = bootcode_tftp::http::files_router(
        source,
        Arc::new(bed.timeline.clone()),
        Arc::new(SystemClock),
        Downloads::default(),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let out = bed.fetched.path().join("out");
    std::fs::write(&out, &content(1_000_003)[..400_000]).unwrap();
    let arguments = ["-sSf", "-C", "-", "-o", "out", "-w", "%{http_code}", &url];
    let Some(output) = client("curl", &arguments, bed.fetched.path()).await else { return };
    assert_eq!(output.stdout, b"206", "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read(&out).unwrap() == content(1_000_003));
    let first = ["-sSf", "--etag-save", "tag", "-o", "out", "-w", "%{http_code}", &url];
    assert_eq!(client("curl", &first, bed.fetched.path()).await.unwrap().stdout, b"200");
    let again = ["-sSf", "--etag-compare", "tag", "-o", "out", "-w", "%{http_code}", &url];
    assert_eq!(client("curl", &again, bed.fetched.path()).await.unwrap().stdout, b"304");
    std::fs::write(&out, &content(1_000_003)[..400_000]).unwrap();
    let Some(output) = client("wget", &["-nv", "-c", "-O", "out", &url], bed.fetched.path()).await else {
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read(&out).unwrap() == content(1_000_003));
}

#[cfg(feature = "registry")]
#[tokio::test(flavor = "multi_thread")]
async fn skopeo_copies_an_image_and_lists_its_tags() {
    let (served, fetched) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let layer = content(2_000_000);
    let image = common::layout::image(served.path(), "disk-wipe:v3", &layer);
    common::layout::index(served.path(), &[image]);
    let layout = bootcode_tftp::registry::Layout::open(served.path()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = format!("docker://{}/disk-wipe", listener.local_addr().unwrap());
    let router = bootcode_tftp::registry::registry_router(layout, Downloads::default());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let source = format!("{name}:v3");
    let copy = ["copy", "--insecure-policy", "--src-tls-verify=false", &source, "dir:out"];
    let Some(output) = client("skopeo", &copy, fetched.path()).await else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let digest = bootcode_tftp::registry::Digest::of(&layer);
    assert!(std::fs::read(fetched.path().join("out").join(digest.hex())).unwrap() == layer);
    let tags = client("skopeo", &["list-tags", "--tls-verify=false", &name], fetched.path()).await.unwrap();
    assert!(String::from_utf8_lossy(&tags.stdout).contains("\"v3\""), "{tags:?}");
}
