//! Puts the worker together.

use std::{path::PathBuf, sync::Arc};

use bootcode_api::{Client, Endpoint};
use bootcode_worker::{
    agent::Ending,
    driver::{Driver, Parts, Settings},
    hardware::Roots,
    identity::{Identity, KernelArgs, read_token},
    power::{HostPower, InitPower, MachinePower},
    runtime::ContainerRuntime,
    spool::Spool,
};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Args, Runtime},
    failure::Failure,
};

/// Works until it is stopped or refused.
pub(crate) async fn work(args: Args, stop: CancellationToken) -> Result<Ending, Failure> {
    let plan = Plan::of(args)?;
    let endpoint: Endpoint = plan.server.parse().map_err(|source| Failure::Server { source })?;
    if matches!(endpoint, Endpoint::Unix { .. }) {
        return Err(Failure::NotHttp { server: plan.server });
    }
    tracing::info!("worker {} of {endpoint}", plan.id);
    let runtime = tokio::select! {
        () = stop.cancelled() => return Ok(Ending::Stopped),
        runtime = runtime(&plan) => runtime?,
    };
    let parts = Parts {
        service: Arc::new(Client::new(endpoint.clone())),
        runtime,
        power: plan.power,
        spool: Spool::open(plan.run_dir.join("spool"))?,
        identity: Identity::of_this_boot(plan.token, &plan.run_dir)?,
        settings: Settings {
            metadata_url: format!("{endpoint}/metadata"),
            state: plan.state_dir,
            protect_disks: plan.protect_disks,
            roots: Roots::default(),
        },
    };
    Ok(Driver::run(parts, stop).await?)
}

/// What was asked for, by flags or by the kernel command line.
struct Plan {
    server: String,
    id: String,
    token: String,
    runtime: Runtime,
    #[cfg_attr(not(feature = "oci"), allow(dead_code))]
    crun: PathBuf,
    run_dir: PathBuf,
    state_dir: PathBuf,
    protect_disks: bool,
    power: Arc<dyn MachinePower>,
}

impl Plan {
    fn of(args: Args) -> Result<Self, Failure> {
        if let (Some(server), Some(id), Some(token_file)) = (args.server, args.id, args.token_file) {
            return Ok(Self {
                server,
                id,
                token: read_token(&token_file)?,
                runtime: args.runtime.unwrap_or(Runtime::ON_A_HOST),
                crun: args.crun,
                state_dir: args.state_dir.unwrap_or_else(|| args.run_dir.join("state")),
                run_dir: args.run_dir,
                protect_disks: args.protect_disks,
                power: Arc::new(HostPower),
            });
        }
        let boot = KernelArgs::of_this_boot()?.ok_or(Failure::NoServer)?;
        Ok(Self {
            server: boot.server,
            id: boot.worker,
            token: boot.token,
            runtime: args.runtime.unwrap_or(Runtime::Oci),
            crun: args.crun,
            run_dir: args.run_dir,
            // OSIE's root is the large tmpfs; its /run is a small one.
            state_dir: args.state_dir.unwrap_or_else(|| "/var/lib/bootcode".into()),
            protect_disks: true,
            power: Arc::new(InitPower),
        })
    }
}

async fn runtime(plan: &Plan) -> Result<Arc<dyn ContainerRuntime>, Failure> {
    match plan.runtime {
        #[cfg(feature = "oci")]
        Runtime::Oci => {
            use bootcode_worker::runtime::oci::{OciRuntime, OciSettings};
            let settings = OciSettings {
                server: plan.server.parse().map_err(|source| Failure::Url { source })?,
                state: plan.state_dir.clone(),
                crun: plan.crun.clone(),
            };
            Ok(Arc::new(OciRuntime::new(settings)?))
        }
        #[cfg(not(feature = "oci"))]
        Runtime::Oci => Err(Failure::NotBuilt { name: "oci" }),
        #[cfg(feature = "docker")]
        Runtime::Docker => {
            use bootcode_worker::runtime::docker::DockerRuntime;
            let registry = plan.server.trim_start_matches("http://").trim_end_matches('/');
            Ok(Arc::new(DockerRuntime::connect(registry, &plan.id).await?))
        }
        #[cfg(not(feature = "docker"))]
        Runtime::Docker => Err(Failure::NotBuilt { name: "docker" }),
    }
}
