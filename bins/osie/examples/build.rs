//! Builds OSIE for this workspace, with another worker when one is named:
//! `cargo run -p bootcode-osie --example build [STATIC_WORKER]`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bootcode_osie::{BuildOptions, build};

fn main() -> ExitCode {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut options = BuildOptions::for_workspace(&workspace);
    if let Some(worker) = std::env::args_os().nth(1) {
        options.worker = Some(PathBuf::from(worker));
        options.out = options.target.join("osie-other-worker");
    }
    match build(&options) {
        Ok(built) => {
            println!("{} and {}", built.kernel.display(), built.initramfs.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("osie: {error}");
            ExitCode::FAILURE
        }
    }
}
