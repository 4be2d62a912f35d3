//! Pushes and pulls by `skopeo` and by a real Docker engine, which `cargo xtask test` starts where none runs.
//!
//! Run where `BOOTCODE_REAL_PEERS` is 1; the engine reaches the registry on the loopback, so both are in one network namespace.
#![cfg(feature = "registry")]
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{path::Path, sync::Arc};

use bootcode_tftp::registry::{Layout, Writer, push_router};
use common::{
    content,
    layout::{image, index},
    peers::client,
};

fn wanted() -> bool {
    let wanted = std::env::var("BOOTCODE_REAL_PEERS").is_ok_and(|value| value == "1");
    if !wanted {
        eprintln!("not run: BOOTCODE_REAL_PEERS is not 1");
    }
    wanted
}

/// Serves an empty layout for operators; where it is.
async fn registry(directory: &Path) -> String {
    let writer = Writer::open(Layout::create(directory).unwrap()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, push_router(Arc::new(writer))).await });
    address
}

async fn good(program: &'static str, arguments: &[&str], directory: &Path) -> String {
    let output = client(program, arguments, directory).await.expect("it is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_pushes_an_image_twice_and_pulls_what_it_pushed() {
    if !wanted() {
        return;
    }
    let (served, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let layer = content(3_000_000);
    let pushed = image(&own.path().join("oci"), "tool:v1", &layer);
    index(&own.path().join("oci"), std::slice::from_ref(&pushed));
    let registry = registry(served.path()).await;
    for name in ["tools/tool:v1", "tools/tool:v2", "tools/tool:v1"] {
        let target = format!("docker://{registry}/{name}");
        let copy = [
            "copy",
            "--preserve-digests",
            "--insecure-policy",
            "--dest-tls-verify=false",
            "oci:oci:tool:v1",
            &target,
        ];
        good("skopeo", &copy, own.path()).await;
    }
    let source = format!("docker://{registry}/tools/tool:v2");
    good("skopeo", &["copy", "--insecure-policy", "--src-tls-verify=false", &source, "dir:out"], own.path())
        .await;
    let manifest = std::fs::read(own.path().join("out/manifest.json")).unwrap();
    assert_eq!(bootcode_tftp::registry::Digest::of(&manifest).as_str(), pushed["digest"].as_str().unwrap());
    let tags =
        good("skopeo", &["list-tags", "--tls-verify=false", &source.replace(":v2", "")], own.path()).await;
    assert!(tags.contains("\"v1\"") && tags.contains("\"v2\""), "{tags}");
    // The layout is one that other tools read, too.
    let local = format!("oci:{}:tools/tool:v1", served.path().display());
    good("skopeo", &["copy", "--insecure-policy", &local, "dir:local"], own.path()).await;
    assert_eq!(std::fs::read_dir(served.path().join(".uploads")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_pushes_an_image_and_pulls_it_again() {
    if !wanted() {
        return;
    }
    let (served, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(own.path().join("file"), content(2_000_000)).unwrap();
    good("tar", &["-cf", "root.tar", "file"], own.path()).await;
    let registry = registry(served.path()).await;
    let name = format!("{registry}/tools/imported:v1");
    good("docker", &["import", "root.tar", &name], own.path()).await;
    let pushed = client("docker", &["push", &name], own.path()).await.unwrap();
    let forgotten = client("docker", &["rmi", &name], own.path()).await.unwrap();
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    assert!(forgotten.status.success(), "{}", String::from_utf8_lossy(&forgotten.stderr));
    let pulled = client("docker", &["pull", &name], own.path()).await.unwrap();
    let said = String::from_utf8_lossy(&pulled.stdout);
    assert!(pulled.status.success(), "{said}{}", String::from_utf8_lossy(&pulled.stderr));
    assert!(said.contains("Downloaded newer image"), "{said}");
    good("docker", &["rmi", &name], own.path()).await;
}
