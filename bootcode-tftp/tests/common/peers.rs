//! Programs that other people wrote.

use std::{
    path::Path,
    process::{Command, Output},
};

/// Runs a client in `directory`; `None` where it is not installed and need not be.
pub async fn client(program: &'static str, arguments: &[&str], directory: &Path) -> Option<Output> {
    let mut command = Command::new("timeout");
    command.args(["60", program]).args(arguments).current_dir(directory);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    if output.status.code() == Some(127) {
        let required = std::env::var("BOOTCODE_REAL_PEERS").is_ok_and(|value| value == "1");
        assert!(!required, "`{program}` is not installed; `cargo xtask setup` installs it");
        eprintln!("`{program}` is not installed, not tested");
        return None;
    }
    Some(output)
}
