//! What the answers are made from, and how they are put together.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bootcode_core::{
    boot::Site,
    clock::Clock,
    document::{Hardware, Network},
    files::{FileName, FileRequest, FileSource},
    secret::{SecretRef, SecretSource},
    session::{Claims, Entropy, Sealer, Use, random_id},
    source::{HardwareSource, InstanceStore, NetworkKey, NetworkSource},
    template::Variable,
    timeline::{BootEvent, BootEventKind, BootRecorder, Reason, Subject},
};

use ipnet::IpNet;

use crate::{
    document::Addresses,
    metrics::MetadataMetrics,
    refusal::Refusal,
    request::{Asker, Identified, identify},
};

/// What the answers are made from.
#[derive(Clone)]
pub struct MetadataParts {
    /// Machines.
    pub hardware: Arc<dyn HardwareSource>,
    /// Which instance each is.
    pub instances: Arc<dyn InstanceStore>,
    /// Their networks.
    pub networks: Arc<dyn NetworkSource>,
    /// The server's files, for the size of what is installed.
    pub files: Arc<dyn FileSource>,
    /// Proxies whose `X-Forwarded-For` says who asks. None: that header is not looked at.
    pub proxies: Arc<[IpNet]>,
    /// Where machines reach us.
    pub site: Site,
    /// Where user data that is a secret is read.
    pub secrets: Arc<dyn SecretSource>,
    /// Checks and makes tokens.
    pub sealer: Sealer,
    /// Randomness of tokens.
    pub entropy: Entropy,
    /// What is counted.
    pub metrics: MetadataMetrics,
    /// The timeline.
    pub recorder: Arc<dyn BootRecorder>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl MetadataParts {
    /// The machine that asks for `path`, which holds no token; a refusal is recorded.
    pub(crate) async fn identify(
        &self,
        token: Option<&str>,
        peer: SocketAddr,
        path: &str,
    ) -> Result<Identified, Refusal> {
        let asker = Asker { token, peer: peer.ip().to_canonical() };
        let found = identify(asker, &*self.hardware, &*self.networks, &self.sealer, self.clock.now()).await;
        found.map_err(|reason| self.refuse(asker.peer, path, reason))
    }

    /// The machine with its secrets in place of their names. Secrets are for those with a token: for others they are left out.
    pub(crate) async fn revealed(&self, asker: &Identified) -> Result<Arc<Hardware>, Refusal> {
        if !has_secrets(&asker.hardware) {
            return Ok(Arc::clone(&asker.hardware));
        }
        let mut hardware = Hardware::clone(&asker.hardware);
        for data in [&mut hardware.spec.user_data, &mut hardware.spec.vendor_data] {
            let Some(reference) = secret_of(data) else { continue };
            *data = match &asker.claims {
                None => None,
                Some(_) => {
                    let secret = self.secrets.resolve(&reference).await.map_err(|error| {
                        tracing::error!(%error, machine = asker.hardware.name, "user data cannot be served");
                        Refusal(Reason::ReadFailed)
                    })?;
                    Some(Arc::new(Variable::Text(secret.reveal().to_owned())))
                }
            };
        }
        Ok(Arc::new(hardware))
    }

    /// The machine for its user or vendor data, which `path` serves whole: who has no token is refused where they are a
    /// secret, for an empty file would be taken for what the owner wrote.
    pub(crate) async fn owner_data(
        &self,
        asker: &Identified,
        peer: SocketAddr,
        path: &str,
    ) -> Result<Arc<Hardware>, Refusal> {
        if asker.claims.is_none() && has_secrets(&asker.hardware) {
            return Err(self.refuse(peer.ip().to_canonical(), path, Reason::BadToken));
        }
        self.revealed(asker).await
    }

    /// What the JSON document takes from outside the Hardware.
    pub(crate) async fn addresses(&self, asker: &Identified) -> Result<Addresses, Refusal> {
        let hardware = &asker.hardware;
        let networks = self.networks_of(hardware).await?;
        let network = hardware.netboot_interface().and_then(|interface| networks.get(interface.id.as_str()));
        let base_url = self.site.base_url(network.map(|network| &**network));
        let instance_id = self.instance_id(hardware).await?;
        let phone_home = asker.claims.as_ref().map(|claims| {
            let token = self.sealer.seal(&Claims {
                used_for: Use::Instance,
                hardware: hardware.name.clone(),
                id: random_id(&self.entropy),
                bound: instance_id.clone(),
                // A token that begets a longer one would be good for ever.
                expires: claims.expires,
            });
            format!("{base_url}/phone-home?token={token}")
        });
        Ok(Addresses {
            instance_id,
            os_bytes: self.os_bytes(hardware).await?,
            networks,
            base_url,
            phone_home,
        })
    }

    /// Which instance the machine is.
    pub(crate) async fn instance_id(&self, hardware: &Hardware) -> Result<String, Refusal> {
        self.instances.instance_id(hardware).await.map_err(|_| Refusal(Reason::StoreAway))
    }

    /// The machine's networks by the ids of its interfaces and VLANs.
    pub(crate) async fn networks_of(
        &self,
        hardware: &Hardware,
    ) -> Result<BTreeMap<String, Arc<Network>>, Refusal> {
        let mut networks = BTreeMap::new();
        for (id, ip) in hardware.reservations() {
            let network = self.networks.network(NetworkKey::Of(ip.into())).await;
            if let Some(network) = network.map_err(|_| Refusal(Reason::StoreAway))? {
                networks.insert(id.to_owned(), network);
            }
        }
        Ok(networks)
    }

    /// Records that a machine read `path`.
    pub(crate) fn fetched(&self, hardware: &Hardware, path: &str) {
        self.record(
            Subject::Hardware(hardware.name.clone()),
            BootEventKind::MetadataFetched { path: path.to_owned() },
        );
    }

    /// Records that an address was refused `path`.
    pub(crate) fn refuse(&self, peer: IpAddr, path: &str, reason: Reason) -> Refusal {
        self.record(Subject::Ip(peer), BootEventKind::Refused { file: path.to_owned(), reason });
        Refusal(reason)
    }

    pub(crate) fn record(&self, subject: Subject, kind: BootEventKind) {
        self.recorder.record(BootEvent { at: self.clock.now(), subject, kind });
    }

    /// Bytes of what is installed, where it is one of our files. A file that is not there yet has no size; the
    /// installation says so when it asks for it.
    async fn os_bytes(&self, hardware: &Hardware) -> Result<Option<u64>, Refusal> {
        let Some(os) = hardware.spec.os.as_ref().filter(|os| !os.image.contains("://")) else {
            return Ok(None);
        };
        let Ok(name) = FileName::normalise(os.image.as_bytes()) else { return Ok(None) };
        let request = FileRequest { name, peer: Ipv4Addr::LOCALHOST.into() };
        let blob = self.files.open(&request).await.map_err(|error| {
            tracing::warn!(%error, machine = hardware.name, "the size of what is installed is not known");
            Refusal(Reason::ReadFailed)
        })?;
        Ok(blob.map(|blob| blob.len))
    }
}

/// Whether what the machine's owner wrote is kept in a secret.
fn has_secrets(hardware: &Hardware) -> bool {
    [&hardware.spec.user_data, &hardware.spec.vendor_data].into_iter().any(|data| secret_of(data).is_some())
}

fn secret_of(data: &Option<Arc<Variable>>) -> Option<SecretRef> {
    data.as_deref().and_then(Variable::as_secret).cloned()
}
