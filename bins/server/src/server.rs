//! The whole server: what it is built from, and how it runs.

use std::{path::Path, pin::Pin, sync::Arc};

use axum::Router;
use bootcode_api::{operator, worker};
use bootcode_core::{
    boot::Site,
    document::Kind,
    files::{Autoexec, Rendered, RenderedParts},
    policy::{BootPolicy, DefaultPolicy},
    preview::BootPreview,
    secret::SecretSource,
    source::HardwareSource,
    store::{SqliteStore, Store},
    unknown::{Inventories, UnknownQueue},
};
use bootcode_dhcp::{DhcpConfig, DhcpServer, Sources};
use bootcode_metadata::{MetadataMetrics, MetadataParts};
use bootcode_tftp::{http::Downloads, tftp::TftpServer};
use ipnet::IpNet;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    backup,
    config::{Config, StoreKind},
    connections::Connections,
    control::{Control, Own},
    data::{DATABASE, DataDir},
    error::{ServerError, with_causes},
    files, freshness, http, images, interfaces, metrics,
    operators::{Listeners, Tokens},
    sources,
    tls::{self, Audience, Certified, Identity},
};

/// What runs until the server ends.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A server that was put together and does not run yet.
pub struct Server {
    config: Config,
    own: Own,
    policy: Arc<dyn BootPolicy>,
}

/// Puts a server together.
pub struct ServerBuilder {
    server: Server,
}

impl ServerBuilder {
    /// With this store instead of the configured one.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.server.own.store = Some(store);
        self
    }

    /// With machines from elsewhere than the store.
    #[must_use]
    pub fn hardware(mut self, hardware: Arc<dyn HardwareSource>) -> Self {
        self.server.own.hardware = Some(hardware);
        self
    }

    /// With secrets from elsewhere than files and variables of this host.
    #[must_use]
    pub fn secrets(mut self, secrets: Arc<dyn SecretSource>) -> Self {
        self.server.own.secrets = Some(secrets);
        self
    }

    /// With another decision on what machines boot.
    #[must_use]
    pub fn policy(mut self, policy: Arc<dyn BootPolicy>) -> Self {
        self.server.policy = policy;
        self
    }

    /// The server.
    ///
    /// # Errors
    /// [`ServerError::Interfaces`] where an interface is missing or has no address.
    pub fn build(self) -> Result<Server, ServerError> {
        interfaces::addresses(&self.server.config)?;
        Ok(self.server)
    }
}

impl Server {
    /// A server with this configuration, the store that it names, and `plan_boot`.
    #[must_use]
    pub fn builder(config: Config) -> ServerBuilder {
        ServerBuilder { server: Self { config, own: Own::default(), policy: Arc::new(DefaultPolicy) } }
    }

    /// Checks the configured directories with their documents, and the store's file where there is one, which a server may have open
    /// meanwhile; how many documents the directories have.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn check(self) -> Result<usize, ServerError> {
        let database = self.config.data_dir.join(DATABASE);
        if self.config.store == StoreKind::Sqlite && database.exists() {
            SqliteStore::check_file(&database)?;
        }
        images::open(&self.config)?;
        files::check(&self.config)?;
        Ok(sources::check(&self.config.sources)?)
    }

    /// Copies the store to a new file, while a server may run on it. A server that is started on the copy holds every open workflow.
    ///
    /// # Errors
    /// [`ServerError::Backup`].
    pub async fn backup(config: &Config, to: &Path) -> Result<(), ServerError> {
        Ok(backup::backup(config, to).await?)
    }

    /// Makes the server its certificates for these names, or for this host's own where there are none, by an authority of its own, which is
    /// made the first time.
    ///
    /// # Errors
    /// [`ServerError::Authority`].
    pub fn certify(config: &Config, names: Vec<String>) -> Result<Certified, ServerError> {
        let data = DataDir::open(&config.data_dir)?;
        let names = if names.is_empty() { interfaces::names(config)? } else { names };
        Ok(tls::certify(&data, names, jiff::Timestamp::now())?)
    }

    /// The tokens of operators.
    ///
    /// # Errors
    /// [`ServerError::Data`].
    pub fn tokens(config: &Config) -> Result<Tokens, ServerError> {
        Ok(Tokens::new(DataDir::open(&config.data_dir)?))
    }

    /// Runs until cancelled, then ends every task it started.
    ///
    /// # Errors
    /// See [`ServerError`]; all but [`ServerError::Ended`] come before the first packet is answered.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), ServerError> {
        let Self { config, own, policy } = self;
        let mut images = images::serve(&config)?;
        let control = Control::open(&config, own, images.index()).await?;
        let (machines, listen) = http::bind_machines("http.listen", config.http.listen).await?;
        let encrypted = encrypted(&config, &control).await?;
        let site = Site {
            addresses: interfaces::addresses(&config)?,
            http_port: listen.port(),
            disk_loader: files::has_disk_loader(&config),
        };
        let files = files::open(
            &config,
            &control,
            &images,
            rendered(&control, &site, &policy),
            autoexec(&control, &site),
        )?;

        let (unknown, unknown_machines) = UnknownQueue::new(
            Arc::clone(&control.store),
            Arc::clone(&control.hardware),
            Arc::clone(&control.recorder) as _,
        );
        let inventories = inventories(&control, &site, &policy, unknown.clone());
        let lost = metrics::Unknown(unknown.lost());
        let dhcp = DhcpServer::bind(
            DhcpConfig { interfaces: config.interfaces.clone(), site: site.clone(), probe: true },
            dhcp_sources(&control, &policy, unknown),
        )
        .await?;
        let tftp = TftpServer::bind(
            config.tftp.listen,
            Arc::clone(&files.tftp),
            Arc::clone(&control.recorder) as _,
            Arc::clone(&control.clock),
        )
        .await?
        .single_port(config.tftp.single_port)
        .per_address(config.tftp.per_address.unwrap_or(usize::MAX));
        let operators = http::bind_operators(&config.api.socket).await?;
        let remote = Listeners::bind(&config, &control.data).await?;

        control.hold_restored().await?;
        let mut watched = Vec::with_capacity(config.sources.len());
        for (directory, result) in sources::apply(&control.applier, &config.sources).await {
            match result {
                Ok(()) => {}
                Err(error) if control.has_documents() => {
                    tracing::error!(error = %with_causes(&error), "serving the documents that were applied last");
                }
                Err(error) => return Err(error.into()),
            }
            watched.push(directory);
        }
        control.settle(&watched).await?;

        images.own(&config);
        let fetch_images = images.fetch(cancel.clone());
        let tend_images = images.tend(cancel.clone());
        let downloads = Downloads::new(config.http.large_downloads.limits());
        let metadata = metadata(&control, &files, &site, &config.http.trusted_proxies);
        let counted = metadata.metrics.clone();
        let machine_routes = http::health()
            .merge(worker::router(Arc::clone(&control.engine) as _))
            .merge(worker::inventory_router(Arc::new(inventories)))
            .merge(bootcode_metadata::router(metadata))
            .merge(images.machines(downloads.clone()))
            .merge(bootcode_tftp::http::files_router(
                Arc::clone(&files.http),
                Arc::clone(&control.recorder) as _,
                Arc::clone(&control.clock),
                downloads.clone(),
            ));
        let mut registry = metrics::registry();
        dhcp.metrics().register(&mut registry);
        registry.register_collector(Box::new(lost));
        tftp.metrics().register(&mut registry);
        counted.register(&mut registry);
        downloads.metrics().register(&mut registry);
        let connections = Connections::new(config.http.connections);
        connections.register(&mut registry);
        let operator_routes = http::health()
            .merge(metrics::router(registry))
            .merge(images.operators(&site))
            .merge(operator_routes(&control, dhcp.preview()));

        let mut tasks = JoinSet::new();
        let mut start = |name: &'static str, task: Task| {
            tasks.spawn(async move {
                task.await;
                name
            });
        };
        let follow = Arc::clone(&control.snapshot);
        let (store, clock, token) = (Arc::clone(&control.store), Arc::clone(&control.clock), cancel.clone());
        start("the snapshot", Box::pin(async move { follow.follow(store, clock, token).await }));
        // Nobody is answered before: to a start that does not know its machines yet each of them is a stranger.
        let (_, applied) = control.store.list(Kind::Network.name()).await?;
        let _ = cancel.run_until_cancelled(control.snapshot.reached(applied)).await;
        let mark = freshness::follow(
            control.data.clone(),
            Arc::clone(&control.snapshot),
            Arc::clone(&control.clock),
            cancel.clone(),
        );
        start("the store's mark", Box::pin(mark));
        let (engine, token) = (Arc::clone(&control.engine), cancel.clone());
        start("the workflow engine", Box::pin(async move { engine.run(token).await }));
        let (engine, keep, token) = (Arc::clone(&control.engine), config.retention.logs(), cancel.clone());
        start("the retention of logs", Box::pin(async move { engine.keep_logs(keep, token).await }));
        let (applier, token) = (Arc::clone(&control.applier), cancel.clone());
        start("the documents", Box::pin(async move { applier.run(token).await }));
        start("the timeline", Box::pin(control.timeline.run(cancel.clone())));
        if !watched.is_empty() {
            let follow = sources::follow(Arc::clone(&control.applier), watched, cancel.clone());
            start("the directories of documents", Box::pin(follow));
        }
        if let Some(fetch) = fetch_images {
            start("the upstream registry", Box::pin(fetch));
        }
        if let Some(tend) = tend_images {
            start("the images", Box::pin(tend));
        }
        start("unknown machines", Box::pin(unknown_machines.run(cancel.clone())));
        start("DHCP", Box::pin(dhcp.run(cancel.clone())));
        start("TFTP", Box::pin(tftp.run(cancel.clone())));
        if let Some((listener, identity)) = encrypted {
            tracing::info!(address = ?listener.local_addr().ok(), "machines are served with TLS, too");
            let (connections, routes) = (connections.clone(), machine_routes.clone());
            let serve = http::serve_machines(listener, Some(identity), routes, connections, cancel.clone());
            start("machines' HTTP with TLS", Box::pin(serve));
        }
        start(
            "machines' HTTP",
            Box::pin(http::serve_machines(machines, None, machine_routes, connections, cancel.clone())),
        );
        if !remote.is_empty() {
            let serve = remote.serve(operator_routes.clone(), cancel.clone());
            start("operators' API by TCP", Box::pin(serve));
        }
        start("operators' API", Box::pin(operators.serve(operator_routes, cancel.clone())));
        tracing::info!(
            http = %listen, tftp = %config.tftp.listen, api = %config.api.socket.display(),
            machines_are_told = ?site.addresses, "serving"
        );
        supervise(tasks, cancel).await
    }
}

/// Waits for all tasks. One that ends before it was told to takes the others down with it: half a server is worse to
/// find than none.
async fn supervise(mut tasks: JoinSet<&'static str>, cancel: CancellationToken) -> Result<(), ServerError> {
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let task = match ended {
            Ok(name) => name,
            Err(error) => {
                tracing::error!(%error, "a task failed");
                "a task"
            }
        };
        if !cancel.is_cancelled() {
            result = Err(ServerError::Ended { task });
            cancel.cancel();
        }
    }
    result
}

/// Machines' listener with TLS, where the configuration asks for one.
async fn encrypted(
    config: &Config,
    control: &Control,
) -> Result<Option<(TcpListener, Arc<Identity>)>, ServerError> {
    let Some(tls) = &config.http.tls else { return Ok(None) };
    let (certificate, key) = (tls.certificate.as_deref(), tls.key.as_deref());
    let identity = Identity::open(Audience::Machines, certificate, key, &control.data)?;
    let (listener, _) = http::bind_machines("http.tls.listen", tls.listen).await?;
    Ok(Some((listener, Arc::new(identity))))
}

fn autoexec(control: &Control, site: &Site) -> Autoexec {
    Autoexec::new(Arc::clone(&control.snapshot) as _, site.clone())
}

fn rendered(control: &Control, site: &Site, policy: &Arc<dyn BootPolicy>) -> Rendered {
    Rendered::new(RenderedParts {
        hardware: Arc::clone(&control.hardware),
        networks: Arc::clone(&control.snapshot) as _,
        work: Arc::clone(&control.engine) as _,
        policy: Arc::clone(policy),
        site: site.clone(),
        sessions: Arc::clone(&control.sessions),
        sealer: control.sealer.clone(),
        entropy: Arc::clone(&control.entropy),
        recorder: Arc::clone(&control.recorder) as _,
        clock: Arc::clone(&control.clock),
    })
}

fn inventories(
    control: &Control,
    site: &Site,
    policy: &Arc<dyn BootPolicy>,
    queue: UnknownQueue,
) -> Inventories {
    Inventories {
        hardware: Arc::clone(&control.hardware),
        networks: Arc::clone(&control.snapshot) as _,
        work: Arc::clone(&control.engine) as _,
        policy: Arc::clone(policy),
        site: site.clone(),
        sealer: control.sealer.clone(),
        queue,
        clock: Arc::clone(&control.clock),
    }
}

fn dhcp_sources(control: &Control, policy: &Arc<dyn BootPolicy>, unknown: UnknownQueue) -> Sources {
    Sources {
        hardware: Arc::clone(&control.hardware),
        networks: Arc::clone(&control.snapshot) as _,
        work: Arc::clone(&control.engine) as _,
        policy: Arc::clone(policy),
        sessions: Arc::clone(&control.sessions),
        leases: Some(Arc::clone(&control.store)),
        unknown: Some(Arc::new(unknown)),
        recorder: Arc::clone(&control.recorder) as _,
        clock: Arc::clone(&control.clock),
    }
}

fn metadata(control: &Control, files: &files::MachineFiles, site: &Site, proxies: &[IpNet]) -> MetadataParts {
    MetadataParts {
        metrics: MetadataMetrics::default(),
        secrets: Arc::clone(&control.secrets),
        hardware: Arc::clone(&control.hardware),
        instances: Arc::clone(&control.engine) as _,
        networks: Arc::clone(&control.snapshot) as _,
        files: Arc::clone(&files.files),
        proxies: proxies.into(),
        site: site.clone(),
        sealer: control.sealer.clone(),
        entropy: Arc::clone(&control.entropy),
        recorder: Arc::clone(&control.recorder) as _,
        clock: Arc::clone(&control.clock),
    }
}

fn operator_routes(control: &Control, preview: Arc<dyn BootPreview>) -> Router {
    operator::router(operator::OperatorParts {
        store: Arc::clone(&control.store),
        applier: Arc::clone(&control.applier),
        engine: Arc::clone(&control.engine),
        journal: Arc::clone(&control.journal),
        snapshot: Arc::clone(&control.snapshot),
        hardware: Arc::clone(&control.hardware),
        preview: Some(preview),
        clock: Arc::clone(&control.clock),
    })
}
