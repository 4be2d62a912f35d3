//! Takes the inventories of machines that nobody declared: who holds which token, and whether it waits.

use std::sync::Arc;

use async_trait::async_trait;

use super::{InventoryService, Standby, Told, UnknownQueue};
use crate::{
    boot::{BootAsk, Client, Site, Stage},
    clock::Clock,
    mac::MacAddr,
    policy::BootPolicy,
    session::{Sealer, Use},
    source::{HardwareKey, HardwareSource, NetworkSource, SourceError, Work, WorkSource},
    timeline::Reason,
    workflow::{Inventory, ServiceError},
};

/// What it is made of.
#[derive(Clone)]
pub struct Inventories {
    /// Whether the machine was declared meanwhile.
    pub hardware: Arc<dyn HardwareSource>,
    /// Whether its Network still has it boot.
    pub networks: Arc<dyn NetworkSource>,
    /// Whether there is work for it.
    pub work: Arc<dyn WorkSource>,
    /// Who decides what it would boot now.
    pub policy: Arc<dyn BootPolicy>,
    /// Where machines reach us.
    pub site: Site,
    /// Checks tokens.
    pub sealer: Sealer,
    /// Where inventories are kept.
    pub queue: UnknownQueue,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl InventoryService for Inventories {
    async fn inventory(&self, token: &str, inventory: Inventory) -> Result<Standby, ServiceError> {
        let now = self.clock.now();
        let bad_token = || ServiceError::Refused { reason: Reason::BadToken };
        let claims = self.sealer.open(token, Use::Inventory, now).map_err(|_| bad_token())?;
        let mac: MacAddr = claims.hardware.parse().map_err(|_| bad_token())?;
        let hardware = self.hardware.find(&HardwareKey::Mac(mac)).await.map_err(away)?;
        let network = self.networks.named(&claims.bound).await.map_err(away)?;
        let work = match &hardware {
            Some(hardware) => self.work.work(hardware).await.map_err(away)?,
            None => Work::Idle,
        };
        let ask = BootAsk {
            client: Client { mac, arch: None, stage: Stage::Ipxe },
            hardware: hardware.as_deref(),
            network: network.as_deref(),
            work: &work,
            site: &self.site,
        };
        let standby = Standby::of(mac, &self.policy.plan(&ask, now), hardware.is_some());
        if hardware.is_none() && standby != Standby::Restart {
            self.queue.told(Told::new(mac, claims.bound, inventory, now))?;
        }
        Ok(standby)
    }
}

fn away(error: SourceError) -> ServiceError {
    ServiceError::Unavailable { message: error.to_string() }
}
