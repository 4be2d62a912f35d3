//! Puts the worker together.

use std::{path::PathBuf, sync::Arc};

use bootcode_api::{Client, Endpoint};
use bootcode_worker::{
    agent::Ending,
    driver::{Driver, Parts, Settings},
    hardware::{Roots, inventory},
    identity::{Identity, KernelArgs, Who, read_token},
    power::{HostPower, InitPower, MachinePower},
    runtime::ContainerRuntime,
    spool::Spool,
    standby::stand_by,
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
    let (id, token) = match plan.who.clone() {
        Who::Machine { worker, token } => (worker, token),
        Who::Undeclared { token } => return undeclared(endpoint, &token, plan.power, stop).await,
    };
    tracing::info!("worker {id} of {endpoint}");
    let runtime = tokio::select! {
        () = stop.cancelled() => return Ok(Ending::Stopped),
        runtime = runtime(&plan, &id) => runtime?,
    };
    let parts = Parts {
        service: Arc::new(Client::new(endpoint.clone())),
        runtime,
        power: plan.power,
        spool: Spool::open(plan.run_dir.join("spool"))?,
        identity: Identity::of_this_boot(token, &plan.run_dir)?,
        settings: Settings {
            metadata_url: format!("{endpoint}/metadata"),
            state: plan.state_dir,
            protect_disks: plan.protect_disks,
            roots: Roots::default(),
        },
    };
    Ok(Driver::run(parts, stop).await?)
}

/// Tells what this machine is, and runs nothing.
async fn undeclared(
    endpoint: Endpoint,
    token: &str,
    power: Arc<dyn MachinePower>,
    stop: CancellationToken,
) -> Result<Ending, Failure> {
    tracing::info!("nobody declared this machine; its inventory goes to {endpoint}");
    let roots = Roots::default();
    let taken = tokio::task::spawn_blocking(move || inventory(&roots)).await;
    let inventory =
        taken.map_err(std::io::Error::other).flatten().map_err(|source| Failure::Inventory { source })?;
    Ok(stand_by(Arc::new(Client::new(endpoint)), token, inventory, power, stop).await)
}

/// What was asked for, by flags or by the kernel command line.
struct Plan {
    server: String,
    who: Who,
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
        let who = match (args.id, args.token_file, args.inventory_token_file) {
            (Some(worker), Some(file), _) => Some(Who::Machine { worker, token: read_token(&file)? }),
            (_, _, Some(file)) => Some(Who::Undeclared { token: read_token(&file)? }),
            _ => None,
        };
        if let (Some(server), Some(who)) = (args.server, who) {
            return Ok(Self {
                server,
                who,
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
            who: boot.who,
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

#[cfg_attr(not(feature = "docker"), allow(unused_variables))]
async fn runtime(plan: &Plan, id: &str) -> Result<Arc<dyn ContainerRuntime>, Failure> {
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
            Ok(Arc::new(DockerRuntime::connect(registry, id).await?))
        }
        #[cfg(not(feature = "docker"))]
        Runtime::Docker => Err(Failure::NotBuilt { name: "docker" }),
    }
}
