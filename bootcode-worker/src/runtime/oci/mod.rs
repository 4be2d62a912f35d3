//! Containers without a daemon: images from the server's registry, layers on a tmpfs, run by `crun`.
//!
//! ```text
//!  /v2/<name>/manifests/<digest> -> layers/<digest>/ ... overlayfs --> containers/<name>/rootfs --> crun run
//! ```
//!
//! A machine of 512 MiB holds one image at a time: layers that the next image does not share are dropped before its
//! own are fetched, and each is unpacked as it comes from the wire.

mod bundle;
mod crun;
mod image_config;
mod layer;
mod manifest;
mod registry;
mod rootfs;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use async_trait::async_trait;
use tokio::sync::Mutex as AsyncMutex;

use self::{crun::Crun, image_config::ImageConfig, registry::Registry, rootfs::Rootfs};
use super::{ContainerName, ContainerRuntime, ContainerSpec, Control, Finished, ImageRef, RuntimeError};
use crate::image::HttpUrl;

pub use self::registry::PullError;

/// Where everything is.
#[derive(Debug, Clone)]
pub struct OciSettings {
    /// The server: `http://192.168.99.1:7080`.
    pub server: HttpUrl,
    /// Layers and containers: a tmpfs, for overlayfs puts its upper directory here.
    pub state: PathBuf,
    /// The OCI runtime, `/usr/bin/crun`.
    pub crun: PathBuf,
}

/// The runtime of OSIE.
#[derive(Debug)]
pub struct OciRuntime {
    state: PathBuf,
    registry: Registry,
    crun: Crun,
    images: Mutex<HashMap<String, Image>>,
    /// One pull at a time: a pull drops what the image before it needed.
    pulling: AsyncMutex<()>,
}

/// An image whose layers are on this machine.
#[derive(Debug, Clone)]
struct Image {
    /// Lowest first.
    layers: Vec<PathBuf>,
    config: ImageConfig,
}

impl OciRuntime {
    /// Makes the directories. Call [`reap`](ContainerRuntime::reap) before the first container.
    ///
    /// # Errors
    /// A directory cannot be made.
    pub fn new(settings: OciSettings) -> Result<Self, RuntimeError> {
        let state = settings.state;
        for dir in ["layers", "containers"] {
            let dir = state.join(dir);
            fs::create_dir_all(&dir).map_err(RuntimeError::file("make", &dir))?;
        }
        // The paths stand in mount options and in crun's state, so they must not depend on a working directory.
        let state = state.canonicalize().map_err(RuntimeError::file("find", &state))?;
        Ok(Self {
            registry: Registry::new(settings.server, state.join("layers")),
            crun: Crun { program: settings.crun, root: state.join("crun") },
            state,
            images: Mutex::default(),
            pulling: AsyncMutex::default(),
        })
    }

    fn image(&self, image: &ImageRef) -> Result<Image, RuntimeError> {
        let images = self.images.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let digest =
            image.digest.as_ref().ok_or_else(|| RuntimeError::ForeignImage { image: image.to_string() })?;
        images.get(digest).cloned().ok_or_else(|| RuntimeError::MissingImage { image: image.to_string() })
    }

    fn container(&self, name: &str) -> PathBuf {
        self.state.join("containers").join(name)
    }

    async fn remove(&self, name: &str) -> Result<(), RuntimeError> {
        self.crun.delete(name).await;
        let dir = self.container(name);
        in_blocking(move || Rootfs::remove(&dir)).await
    }
}

#[async_trait]
impl ContainerRuntime for OciRuntime {
    async fn ensure_image(&self, image: &ImageRef) -> Result<(), RuntimeError> {
        let _one = self.pulling.lock().await;
        if self.image(image).is_ok() {
            return Ok(());
        }
        let pull = |source| RuntimeError::Pull { image: image.to_string(), source: Box::new(source) };
        let Some(digest) = image.digest.clone() else {
            return Err(RuntimeError::ForeignImage { image: image.to_string() });
        };
        let repository = image.repository()?;
        let wanted = self.registry.manifest(repository, &digest).await.map_err(pull)?;
        self.images.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        self.registry.drop_other_layers(&wanted.manifest).await.map_err(pull)?;
        let layers = self.registry.layers(repository, &wanted.manifest).await.map_err(pull)?;
        let held = Image { layers, config: wanted.config };
        self.images.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(digest, held);
        Ok(())
    }

    async fn run(&self, spec: ContainerSpec, control: Control) -> Result<Finished, RuntimeError> {
        let image = self.image(&spec.image)?;
        let name = spec.name.as_str().to_owned();
        let dir = self.container(&name);
        self.remove(&name).await?;
        let prepared = {
            let dir = dir.clone();
            in_blocking(move || prepare(&dir, &image, &spec)).await
        };
        let finished = match prepared {
            Ok(()) => self.crun.run(&name, &dir, &control).await,
            Err(error) => Err(error),
        };
        let removed = self.remove(&name).await;
        let finished = finished?;
        if let Err(error) = removed {
            // The action did its work; what is left of it is removed before the next of its name.
            tracing::warn!(%error, "a container was not removed whole");
        }
        Ok(finished)
    }

    async fn reap(&self, workflow: Option<&str>) -> Result<(), RuntimeError> {
        let dir = self.state.join("containers");
        let entries = fs::read_dir(&dir).map_err(RuntimeError::file("read", &dir))?;
        let prefix = workflow.map(|name| {
            let key = crate::agent::AttemptKey { workflow: name.to_owned(), index: 0, attempt: 0 };
            ContainerName::of(&key, false).as_str().trim_end_matches("0-0").to_owned()
        });
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str())) {
                self.remove(&name).await?;
            }
        }
        Ok(())
    }
}

/// The container's root and its bundle.
fn prepare(dir: &Path, image: &Image, spec: &ContainerSpec) -> Result<(), RuntimeError> {
    for volume in &spec.volumes {
        volume.ensure_source().map_err(RuntimeError::file("make the volume", &volume.source))?;
    }
    let config = bundle::config(spec, &image.config, &bundle::Host::look())?;
    let rootfs = Rootfs::mount(dir, &image.layers)?;
    let path = rootfs.bundle.join("config.json");
    let mut options = fs::File::options();
    // It holds the action's secrets.
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(config.to_string().as_bytes()))
        .map_err(RuntimeError::file("write", &path))
}

/// File system work beside the runtime's threads.
async fn in_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| RuntimeError::Start { message: format!("preparing it was cut off: {error}") })?
}
