//! install-root-fs: the operating system's files, streamed from the server and verified.

use std::{fs, path::Path};

use bootcode_worker::image::{FetchPolicy, ImageSource, Installed, Progress, install};

use super::{
    file,
    fstab::{Line, fstab},
};
use crate::{
    ActionError, Environment,
    format::{self, superblock},
    limits,
    metadata::Metadata,
    mount::{BASE, Mounted},
    target::{self, Volume},
};

/// As long as it stands in the root, the system there is not installed.
pub(super) const INCOMPLETE: &str = "/.bootcode-incomplete";
/// What was installed: written last.
pub(super) const RECORD: &str = "/var/lib/bootcode/installation.json";

/// Writes the files, `/etc/fstab` and the record.
pub(super) async fn run(metadata: &Metadata, environment: &Environment) -> Result<String, ActionError> {
    let os = metadata.os()?;
    let source = ImageSource { url: os.url.parse()?, sha256: os.sha256.parse()?, size: os.size };
    let volumes = target::volumes(metadata)?;
    let mut lines = Vec::new();
    for volume in &volumes {
        if let Some(line) = prepare(volume).await? {
            lines.push(line);
        }
    }
    let mounted = Mounted::layout(&volumes, false)?;
    file::write(INCOMPLETE, "The installation of this system did not end.\n", 0o644)?;
    let installed = stream(&source).await?;
    file::write("/etc/fstab", &fstab(lines), 0o644)?;
    let record = serde_json::json!({
        "instance": metadata.id, "workflow": environment.workflow, "image": installed.fetched.sha256.to_string(),
    });
    file::write(RECORD, &format!("{record}\n"), 0o644)?;
    // On the disk first, declared installed after.
    nix::unistd::sync();
    let marker = file::in_target(INCOMPLETE)?;
    fs::remove_file(&marker).map_err(|source| ActionError::File {
        path: marker,
        doing: "removing it",
        source,
    })?;
    tokio::task::spawn_blocking(move || mounted.finish()).await??;
    Ok(format!(
        "{} files ({} MiB) from {} bytes with sha256 {}",
        installed.unpacked.entries,
        installed.unpacked.bytes >> 20,
        installed.fetched.bytes,
        installed.fetched.sha256
    ))
}

/// Makes sure that the file system is there and empty: an earlier run may have been killed in its middle.
async fn prepare(volume: &Volume) -> Result<Option<Line>, ActionError> {
    let Some(kind) = volume.part.format() else { return Ok(None) };
    let spec = &volume.part.spec;
    let mut found = superblock(&volume.node)?.filter(|found| found.format == kind);
    if found.is_some() && spec.mount.is_some() && !pristine(volume)? {
        println!("install-root-fs: {} holds files of an earlier run, it is made anew", spec.id);
        found = None;
    }
    let made = match found {
        Some(found) => found,
        None => format::format(&volume.node, kind, spec.label.as_deref()).await?,
    };
    let listed = spec.mount.is_some() || kind == crate::metadata::Format::Swap;
    Ok(listed.then(|| Line { uuid: made.uuid, place: spec.mount.clone(), format: kind }))
}

/// Whether nothing but `lost+found` is there. One that cannot be mounted is not pristine: it is made anew.
fn pristine(volume: &Volume) -> Result<bool, ActionError> {
    let Ok(mounted) = Mounted::single(volume) else { return Ok(false) };
    let fault = |source| ActionError::File { path: BASE.into(), doing: "listing it", source };
    let mut empty = true;
    for entry in fs::read_dir(Path::new(BASE)).map_err(fault)? {
        empty &= entry.map_err(fault)?.file_name() == "lost+found";
    }
    mounted.finish()?;
    Ok(empty)
}

async fn stream(source: &ImageSource) -> Result<Installed, ActionError> {
    let progress = Progress::new();
    let shown = progress.clone();
    let policy = FetchPolicy::default();
    let installing = install(source, &policy, BASE.into(), progress);
    let showing = async {
        let mut ticks = tokio::time::interval(limits::PROGRESS);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            println!("install-root-fs: {}", line(&shown));
        }
    };
    tokio::select! {
        installed = installing => Ok(installed?),
        () = showing => unreachable!("it has no end"),
    }
}

fn line(progress: &Progress) -> String {
    let received = progress.received();
    let mut text = match progress.total() {
        Some(total) => {
            format!("{received} of {total} bytes ({} %)", received.saturating_mul(100) / total.max(1))
        }
        None => format!("{received} bytes"),
    };
    if progress.reconnects() > 0 {
        text += &format!(", {} reconnects", progress.reconnects());
    }
    text
}
