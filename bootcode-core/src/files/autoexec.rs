//! What boot loaders look for that do not know their machine's name: `autoexec.ipxe`, next to an iPXE without a script of its own, before it asks
//! DHCP; `grub.cfg`, where a GRUB was built to read that alone.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Blob, FileError, FileRequest, FileSource, memory::content_tag};
use crate::{
    boot::Site,
    ipxe, loader,
    source::{NetworkKey, NetworkSource},
};

/// Leads a boot loader to what there is for the machine that it runs on. It holds nothing of a machine, so whoever asks may have it.
#[derive(Clone)]
pub struct Autoexec {
    networks: Arc<dyn NetworkSource>,
    site: Site,
}

impl Autoexec {
    /// For machines of these networks.
    #[must_use]
    pub fn new(networks: Arc<dyn NetworkSource>, site: Site) -> Self {
        Self { networks, site }
    }
}

#[async_trait]
impl FileSource for Autoexec {
    /// By any path: boot loaders ask for it in the directory that they were loaded from.
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        let script = match request.name.as_str().rsplit('/').next() {
            Some("autoexec.ipxe") => {
                // A source that is away costs no more than the choice among our addresses.
                let network = self.networks.network(NetworkKey::Of(request.peer)).await.ok().flatten();
                ipxe::autoexec(&self.site.base_url(network.as_deref()))
            }
            Some("grub.cfg") => loader::grub_any(),
            _ => return Ok(None),
        };
        let tag = content_tag(script.as_bytes());
        Ok(Some(Blob::memory(script, tag)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{
        document::{Network, NetworkSpec},
        files::{Body, FileName},
        source::SourceError,
    };

    struct Two;

    #[async_trait]
    impl NetworkSource for Two {
        async fn network(&self, key: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
            let NetworkKey::Of(std::net::IpAddr::V4(ip)) = key else { return Ok(None) };
            let network = |cidr: &str| NetworkSpec::new(cidr.parse().unwrap());
            let spec = [network("10.0.0.0/24"), network("10.0.1.0/24")];
            let found = spec.into_iter().find(|spec| spec.cidr.contains(&ip));
            Ok(found.map(|spec| Arc::new(Network { name: "n".into(), spec })))
        }
    }

    #[tokio::test]
    async fn it_leads_to_the_server_as_the_asking_network_reaches_it() {
        let addresses = vec![[10, 0, 0, 1].into(), [10, 0, 1, 1].into()];
        let autoexec = Autoexec::new(Arc::new(Two), Site { addresses, http_port: 7080, disk_loader: false });
        for (name, peer, server) in [
            ("autoexec.ipxe", [10, 0, 0, 9], Some("http://10.0.0.1:7080/")),
            ("secure/autoexec.ipxe", [10, 0, 1, 9], Some("http://10.0.1.1:7080/")),
            ("autoexec.ipxe", [192, 0, 2, 1], Some("http://10.0.0.1:7080/")),
            ("grub/grub.cfg", [10, 0, 0, 9], Some("configfile \"$prefix/grub.cfg-01-$net_default_mac\"\n")),
            ("grub.cfg-01-52:54:00:00:00:01", [10, 0, 0, 9], None),
            ("auto.ipxe", [10, 0, 0, 9], None),
            ("my-autoexec.ipxe", [10, 0, 0, 9], None),
        ] {
            let name = FileName::normalise(name.as_bytes()).unwrap();
            let peer = Ipv4Addr::from(peer).into();
            let blob = autoexec.open(&FileRequest { name, peer }).await.unwrap();
            let text = blob.map(|blob| match blob.body {
                Body::Memory(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                Body::Reader(_) => panic!("it is in memory"),
            });
            assert_eq!(text.is_some(), server.is_some());
            assert!(text.is_none_or(|text| text.contains(server.unwrap())));
        }
    }
}
