//! Containers by a Docker engine.
//!
//! The engine pulls from the server's registry over plain HTTP, which it does for 127.0.0.0/8; elsewhere the server
//! must stand under `insecure-registries` of its `daemon.json`. Images are named by digest, so nothing else can come.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use bollard::{
    Docker,
    container::LogOutput,
    errors::Error,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, CreateImageOptions,
        ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptions,
    },
};
use futures_util::StreamExt as _;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    ContainerRuntime, ContainerSpec, Control, Exit, Finished, ImageRef, RuntimeError,
    capability::{capabilities, is_confined},
};
use crate::limits;

const WORKER_LABEL: &str = "dev.bootcode.worker";
const WORKFLOW_LABEL: &str = "dev.bootcode.workflow";

/// A Docker engine.
#[derive(Debug, Clone)]
pub struct DockerRuntime {
    docker: Docker,
    registry: String,
    worker: String,
    capabilities: Vec<&'static str>,
}

impl DockerRuntime {
    /// Connects to `$DOCKER_HOST`, else to the engine's socket. `registry` is the server's host and port; `worker`
    /// tells our containers from those of other workers.
    ///
    /// # Errors
    /// No engine answers.
    pub async fn connect(registry: &str, worker: &str) -> Result<Self, RuntimeError> {
        let docker = Docker::connect_with_defaults().map_err(fault("be reached"))?;
        // Older engines refuse the version that the library speaks by default.
        let docker = docker.negotiate_version().await.map_err(fault("be asked for its version"))?;
        Ok(Self {
            docker,
            registry: registry.to_owned(),
            worker: worker.to_owned(),
            capabilities: capabilities(),
        })
    }

    /// How the engine names the image.
    fn engine_name(&self, image: &ImageRef) -> Result<String, RuntimeError> {
        Ok(match &image.digest {
            Some(digest) => format!("{}/{}@{digest}", self.registry, image.repository()?),
            None => image.name.clone(),
        })
    }

    async fn remove(&self, container: &str) -> Result<(), RuntimeError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.docker.remove_container(container, Some(options)).await {
            Err(Error::DockerResponseServerError { status_code: 404, .. }) | Ok(()) => Ok(()),
            // Somebody else is at it already: it is gone soon.
            Err(Error::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
            Err(source) => Err(fault("remove the container")(source)),
        }
    }

    /// All rights. The engine gives a privileged container every capability that there is, which fails where the engine
    /// itself is confined: there the same is put together from what it has.
    fn privileges(&self) -> HostConfig {
        if !is_confined(&self.capabilities) {
            return HostConfig { privileged: Some(true), ..HostConfig::default() };
        }
        // Engines before version 23 refuse a list with names that are younger than they are.
        let young = ["CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"];
        let known = |name: &&&str| !young.contains(*name);
        let options = ["seccomp=unconfined", "apparmor=unconfined", "label=disable"];
        HostConfig {
            cap_add: Some(self.capabilities.iter().filter(known).map(ToString::to_string).collect()),
            security_opt: Some(options.map(ToOwned::to_owned).to_vec()),
            device_cgroup_rules: Some(vec!["a *:* rwm".to_owned()]),
            masked_paths: Some(vec![]),
            readonly_paths: Some(vec![]),
            ..HostConfig::default()
        }
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<(), RuntimeError> {
        for volume in &spec.volumes {
            volume.ensure_source().map_err(RuntimeError::file("make the volume", &volume.source))?;
        }
        let bind = |volume: &super::Volume| {
            let access = if volume.read_only { "ro" } else { "rw" };
            format!("{}:{}:{access}", volume.source.display(), volume.target.display())
        };
        let labels = [(WORKER_LABEL, &self.worker), (WORKFLOW_LABEL, &spec.workflow)];
        let body = ContainerCreateBody {
            image: Some(self.engine_name(&spec.image)?),
            cmd: (!spec.command.is_empty()).then(|| spec.command.clone()),
            env: Some(spec.variables().collect()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.clone())).into()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(false),
            host_config: Some(HostConfig {
                network_mode: Some("host".to_owned()),
                pid_mode: spec.namespaces.pid.clone(),
                binds: Some(spec.volumes.iter().map(bind).collect()),
                ..self.privileges()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(spec.name.as_str()).build();
        self.docker.create_container(Some(options), body).await.map_err(fault("create the container"))?;
        Ok(())
    }

    /// Starts a container that was created, and waits for its end.
    async fn run_created(&self, name: &str, control: &Control) -> Result<Finished, RuntimeError> {
        // Attached before it starts, so that not a line is missed.
        let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        let attached = self
            .docker
            .attach_container(name, Some(options))
            .await
            .map_err(fault("attach to the container"))?;
        let log = control.log.clone();
        let output = AbortOnDropHandle::new(tokio::spawn(async move {
            let mut output = attached.output;
            while let Some(Ok(LogOutput::StdOut { message } | LogOutput::StdErr { message })) =
                output.next().await
            {
                if log.send(message).await.is_err() {
                    return;
                }
            }
        }));
        self.docker
            .start_container(name, None)
            .await
            .map_err(|source| RuntimeError::Start { message: source.to_string() })?;
        let started = Instant::now();
        let exit = tokio::select! {
            exit = self.wait(name) => exit?,
            () = control.cancel.cancelled() => Exit::Cancelled,
            () = sleep_until(started + control.limit) => Exit::TimedOut,
        };
        let ran = started.elapsed();
        if matches!(exit, Exit::Cancelled | Exit::TimedOut) {
            self.remove(name).await?;
        }
        let _ = timeout(limits::OUTPUT_DRAIN, output).await;
        Ok(Finished { exit, ran })
    }

    async fn wait(&self, name: &str) -> Result<Exit, RuntimeError> {
        const PAUSE: Duration = Duration::from_secs(1);
        loop {
            let mut waiting = std::pin::pin!(self.docker.wait_container(name, None::<WaitContainerOptions>));
            let code = match waiting.next().await {
                Some(Ok(ended)) => ended.status_code,
                // The library makes an error of every status but 0.
                Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
                Some(Err(Error::RequestTimeoutError)) | None => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Some(Err(source)) => return Err(fault("wait for the container")(source)),
            };
            return Ok(Exit::from_code(i32::try_from(code).unwrap_or(i32::MAX)));
        }
    }
}

#[async_trait]
impl ContainerRuntime for DockerRuntime {
    async fn ensure_image(&self, image: &ImageRef) -> Result<(), RuntimeError> {
        let name = self.engine_name(image)?;
        match self.docker.inspect_image(&name).await {
            Ok(_) => return Ok(()),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
            Err(source) => return Err(fault("look for the image")(source)),
        }
        // With a digest in the name the tag stays out of it.
        let tag = (image.digest.is_none() && image.repository()? == image.name).then(|| "latest".to_owned());
        let options =
            CreateImageOptions { from_image: Some(name.clone()), tag, ..CreateImageOptions::default() };
        let mut pulling = self.docker.create_image(Some(options), None, None);
        while let Some(step) = pulling.next().await {
            let step = step.map_err(fault(&format!("pull {name}")))?;
            tracing::debug!(image = %name, status = step.status, "pulling");
        }
        self.docker.inspect_image(&name).await.map_err(fault(&format!("pull {name}")))?;
        Ok(())
    }

    async fn run(&self, spec: ContainerSpec, control: Control) -> Result<Finished, RuntimeError> {
        let name = spec.name.as_str().to_owned();
        self.remove(&name).await?;
        self.create(&spec).await?;
        let finished = self.run_created(&name, &control).await;
        let removed = self.remove(&name).await;
        let finished = finished?;
        if let Err(error) = removed {
            // The action did its work; what is left of it is removed before the next of its name.
            tracing::warn!(%error, "a container was not removed");
        }
        Ok(finished)
    }

    async fn reap(&self, workflow: Option<&str>) -> Result<(), RuntimeError> {
        let mut labels = vec![format!("{WORKER_LABEL}={}", self.worker)];
        labels.extend(workflow.map(|name| format!("{WORKFLOW_LABEL}={name}")));
        let filters: HashMap<String, Vec<String>> = [("label".to_owned(), labels)].into();
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let left = self.docker.list_containers(Some(options)).await.map_err(fault("list the containers"))?;
        for container in left {
            if let Some(id) = container.id {
                self.remove(&id).await?;
            }
        }
        Ok(())
    }
}

fn fault(action: &str) -> impl FnOnce(Error) -> RuntimeError + use<> {
    let action = action.to_owned();
    move |source| RuntimeError::Docker { action, source }
}
