//! `bootcode` as a process, and the server's registry on a socket of its own.

#![allow(dead_code)] // each test has its own part of it

pub(crate) mod mirror;

use std::{path::Path, process::Command, sync::Arc};

use bootcode_tftp::registry::{Layout, Writer, push_router};

/// Serves an empty registry at `api.sock`.
pub(crate) fn serve(dir: &Path) {
    serve_at(dir, "api.sock");
}

/// The same at another socket.
pub(crate) fn serve_at(dir: &Path, socket: &str) {
    let writer = Writer::open(Layout::create(dir.join("images")).unwrap()).unwrap();
    let listener = tokio::net::UnixListener::bind(dir.join(socket)).unwrap();
    tokio::spawn(async move { axum::serve(listener, push_router(Arc::new(writer))).await });
}

/// The program with a command line, whose words have no blanks.
pub(crate) fn command(dir: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootcode"));
    command.current_dir(dir).args(line.split(' ')).env("BOOTCODE_SERVER", "unix:api.sock");
    for proxy in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command
}

/// The exit code, and what was said on both streams.
pub(crate) async fn bootcode(dir: &Path, line: &str) -> (i32, String) {
    run(command(dir, line)).await
}

/// The same of a command.
pub(crate) async fn run(mut command: Command) -> (i32, String) {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(!text.contains("panicked"), "{text}");
    (output.status.code().unwrap(), text)
}
