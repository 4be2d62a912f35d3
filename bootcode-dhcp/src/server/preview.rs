//! What a client would be told: its bytes, the true look-ups, the true rules, and nothing done.

#[cfg(test)]
mod tests;

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bootcode_core::{
    boot::{BootAsk, BootStep},
    clock::Timestamp,
    document::Network,
    policy::BootPolicy,
    preview::{
        Asked, BootPreview, Preview as Answer, PreviewAsk, PreviewClient, PreviewError, PreviewHardware,
        PreviewNetwork, PreviewPlan, PreviewRefusal, PreviewReply,
    },
    source::{NetworkKey, SourceError},
    timeline::Reason,
};

use super::{At, Found, Shell, leases::Touch, link::Link};
use crate::{
    boot::{Boot, boot},
    lease::Standing,
    limits, preview,
    query::{Query, classify},
    responder::{Notice, Response, Sending, Verdict, respond},
    wire::{Packet, ReplyType, code},
};

/// A look at the server's answers.
pub(super) struct Preview(pub(super) Arc<Shell>);

/// The Network that a question comes from, unless a relay names one, and how that is known.
struct Place {
    network: Option<Arc<Network>>,
    by: String,
    /// The interface; of a relay's question any.
    interface: Option<String>,
}

/// The policy, with what it said last: the step that counts, for of several architectures the first that can be served ends the search.
struct Witness<'a> {
    policy: &'a dyn BootPolicy,
    said: Mutex<Option<BootStep>>,
}

impl BootPolicy for Witness<'_> {
    fn plan(&self, ask: &BootAsk<'_>, now: Timestamp) -> BootStep {
        let step = self.policy.plan(ask, now);
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(step.clone());
        step
    }
}

#[async_trait]
impl BootPreview for Preview {
    async fn preview(&self, ask: &PreviewAsk) -> Result<Answer, PreviewError> {
        check(ask)?;
        let looked = tokio::time::timeout(limits::LOOKUP * 2, self.look(ask)).await;
        let late = |_| PreviewError::Unavailable { message: "look-ups took too long; try again".to_owned() };
        looked.map_err(late)?
    }
}

impl Preview {
    async fn look(&self, ask: &PreviewAsk) -> Result<Answer, PreviewError> {
        let place = self.place(ask).await?;
        let ip = match (ask.message, ask.ip) {
            (Asked::Discover, ip) | (_, ip @ Some(_)) => ip,
            (_, None) => Some(self.offered(ask, &place).await?),
        };
        self.answer(ask, ip, &place).await
    }

    /// What a DISCOVER of this client would be offered.
    async fn offered(&self, ask: &PreviewAsk, place: &Place) -> Result<Ipv4Addr, PreviewError> {
        let discover = PreviewAsk { message: Asked::Discover, ..ask.clone() };
        let answer = self.answer(&discover, None, place).await?;
        let ip = answer.reply.map(|reply| reply.yiaddr).filter(|ip| !ip.is_unspecified());
        ip.ok_or_else(|| {
            let why = answer.refusal.map_or("a proxy offers none".to_owned(), |refusal| refusal.message);
            let message =
                format!("a DISCOVER of {} is offered no address ({why}): name one with --ip", ask.mac);
            PreviewError::Rejected { message }
        })
    }

    async fn answer(
        &self,
        ask: &PreviewAsk,
        ip: Option<Ipv4Addr>,
        place: &Place,
    ) -> Result<Answer, PreviewError> {
        let shell = &*self.0;
        let site = &shell.config.site;
        let now = shell.sources.clock.now();
        let server = site.address(place.network.as_deref());
        let (bytes, rx) = preview::request(ask, ip, server);
        let unreadable =
            |why: String| PreviewError::Rejected { message: format!("no client sends this: {why}") };
        let packet = Packet::decode(&bytes).map_err(|error| unreadable(error.to_string()))?;
        let query = match classify(&packet, &rx) {
            Verdict::Answer(query) => query,
            Verdict::Ignore(reason) => return Err(unreadable(reason.to_string())),
        };
        let at = At::Network(place.network.as_ref());
        let mut found = shell.look_up(&query, at, (Touch::Look, now)).await.map_err(unavailable)?;
        let witness = Witness { policy: &*shell.sources.policy, said: Mutex::new(None) };
        let mut before = Vec::new();
        let mut verdict = respond(&query, &found.facts(), &witness, site, now);
        if let Verdict::Answer(Response::Probe { ip }) = verdict {
            before.push(self.probe(place, ip));
            if let Some(Standing::May { clear, .. }) = &mut found.lease {
                *clear = true;
            }
            verdict = respond(&query, &found.facts(), &witness, site, now);
        }
        if let Verdict::Answer(Response::Commit(commit)) = verdict {
            before.push(format!(
                "a lease of {} until {:.0} is written",
                commit.change.ip, commit.change.lease.ends
            ));
            verdict = Verdict::Answer(commit.then);
        }
        if query.client.stage().is_some() && witness.said.lock().is_ok_and(|said| said.is_none()) {
            // DHCP is silent for another reason; a boot that gets here without it is told this all the same.
            let _ = boot(&query, &found.facts(), &witness, site, now);
        }
        let step = witness.said.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(told(preview::client(&query, &packet), &query, &found, place, step, before, verdict))
    }

    fn probe(&self, place: &Place, ip: Ipv4Addr) -> String {
        let doubts = &self.0.doubts;
        let asks = place.interface.as_ref().map_or(!doubts.is_empty(), |name| doubts.contains_key(name));
        if asks {
            format!("the wire is asked whether {ip} is free; this is what follows if it is")
        } else {
            format!("the wire cannot be asked whether {ip} is free")
        }
    }

    async fn place(&self, ask: &PreviewAsk) -> Result<Place, PreviewError> {
        if let Some(relay) = ask.relay {
            let key = ask.link.map_or(NetworkKey::Relay(relay), NetworkKey::Link);
            let network = self.0.sources.networks.network(key).await.map_err(unavailable)?;
            let by = ask.link.map_or(String::new(), |link| format!(", which names the link {link}"));
            return Ok(Place { network, by: format!("relay {relay}{by}"), interface: None });
        }
        let mut links = Vec::new();
        for link in self.0.config.interfaces.iter().filter_map(|name| Link::find(name).ok()) {
            let network = self.0.network_of(&link).await.map_err(unavailable)?;
            links.push((link.name, network));
        }
        match &ask.network {
            Some(name) => self.named(name, &links).await,
            None => listened_on(links),
        }
    }

    async fn named(
        &self,
        name: &str,
        links: &[(String, Option<Arc<Network>>)],
    ) -> Result<Place, PreviewError> {
        let network = self.0.sources.networks.named(name).await.map_err(unavailable)?;
        let network = network.ok_or_else(|| PreviewError::Rejected {
            message: format!("there is no Network `{name}`; `bootcode get network` lists them"),
        })?;
        let here = |(_, found): &&(String, Option<Arc<Network>>)| {
            found.as_ref().is_some_and(|found| found.name == network.name)
        };
        let interface = links.iter().find(here).map(|(link, _)| link.clone());
        let by = match &interface {
            Some(link) => format!("interface {link}"),
            None => "its name; no interface is in it, so that only relays bring its clients here".to_owned(),
        };
        Ok(Place { network: Some(network), by, interface })
    }
}

/// The Network of the interfaces, where it is one.
fn listened_on(links: Vec<(String, Option<Arc<Network>>)>) -> Result<Place, PreviewError> {
    let mut found: Vec<(String, Arc<Network>)> = Vec::new();
    for (link, network) in links {
        if let Some(network) = network
            && !found.iter().any(|(_, other)| other.name == network.name)
        {
            found.push((link, network));
        }
    }
    match found.len() {
        0 => Ok(Place { network: None, by: String::new(), interface: None }),
        1 => {
            let (link, network) = found.remove(0);
            Ok(Place { network: Some(network), by: format!("interface {link}"), interface: Some(link) })
        }
        _ => {
            let names: Vec<_> =
                found.iter().map(|(link, network)| format!("{} ({link})", network.name)).collect();
            let message = format!(
                "the server listens on several Networks: name one with --network: {}",
                names.join(", ")
            );
            Err(PreviewError::Rejected { message })
        }
    }
}

/// What people may write that no client can send.
fn check(ask: &PreviewAsk) -> Result<(), PreviewError> {
    let rejected = |message: String| Err(PreviewError::Rejected { message });
    if !ask.mac.is_unicast() {
        return rejected(format!("{} is a group's address, and no interface has it", ask.mac));
    }
    for (name, text) in [("vendor class", &ask.vendor_class), ("user class", &ask.user_class)] {
        if text.as_ref().is_some_and(|text| text.len() > usize::from(u8::MAX)) {
            return rejected(format!("the {name} is longer than 255 bytes, which one option holds"));
        }
    }
    if ask.relay.is_some() && ask.network.is_some() {
        return rejected("a relay says which Network it is: name it or the Network, not both".to_owned());
    }
    if ask.link.is_some() && ask.relay.is_none() {
        return rejected("only a relay names a link: name the relay, too".to_owned());
    }
    if ask.relay.is_some() && ask.message == Asked::BootServer {
        return rejected("a client asks port 4011 by itself, not through a relay".to_owned());
    }
    for (name, ip) in [("relay", ask.relay), ("link", ask.link), ("address", ask.ip)] {
        if ip.is_some_and(|ip| ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast()) {
            return rejected(format!("the {name} is no address that a machine can have"));
        }
    }
    Ok(())
}

fn unavailable(error: SourceError) -> PreviewError {
    PreviewError::Unavailable { message: error.to_string() }
}

/// The whole path in words.
fn told(
    client: PreviewClient,
    query: &Query,
    found: &Found,
    place: &Place,
    step: Option<BootStep>,
    before: Vec<String>,
    verdict: Verdict<Response>,
) -> Answer {
    let facts = found.facts();
    let hardware = found.hardware.as_ref().map(|hardware| {
        let interface = hardware.interface(query.mac);
        PreviewHardware {
            name: hardware.name.clone(),
            interface: interface.map(|interface| interface.id.to_string()),
            ip: interface.and_then(|interface| interface.ip),
            netboot: interface.is_some_and(|interface| interface.netboot),
        }
    });
    let network = found.network.as_ref().map(|network| PreviewNetwork {
        name: network.name.clone(),
        cidr: network.spec.cidr,
        mode: network.spec.dhcp.mode,
        by: place.by.clone(),
    });
    let unknown = facts.network.filter(|_| hardware.is_none()).map(preview::unknown);
    let refused = |reason: Reason| Some(preview::remedy(reason, query, &facts));
    let (reply, refusal) = match verdict {
        Verdict::Ignore(reason) => (None, refused(reason)),
        Verdict::Answer(Response::Send(sending)) => {
            let refusal = match (sending.reply.kind, &sending.boot) {
                (ReplyType::Nak, _) => Some(preview::nak(&said(&sending))),
                (_, Boot::Refused(reason, _)) => refused(*reason),
                _ => None,
            };
            (Some(reply(&sending)), refusal)
        }
        Verdict::Answer(Response::Noted(notice)) => (None, Some(noted(notice))),
        // Both came to their end before.
        Verdict::Answer(Response::Probe { .. } | Response::Commit(_)) => (None, refused(Reason::TooMany)),
    };
    Answer {
        client,
        network,
        hardware,
        unknown,
        pool: found.lease.map(preview::standing),
        plan: step.map(|step| PreviewPlan::new(&step, &found.work, facts.hardware)),
        before,
        reply,
        refusal,
    }
}

fn noted(notice: Notice) -> PreviewRefusal {
    let message = match notice {
        Notice::LeasedElsewhere { ip } => {
            format!("it takes {ip} from the network's own server, which answers it")
        }
        Notice::Declined { ip } | Notice::Released { ip } => format!("it gives {ip} back, which is noted"),
    };
    PreviewRefusal { reason: None, message, remedy: None }
}

/// What a NAK says.
fn said(sending: &Sending) -> String {
    let option = sending.reply.options.iter().find(|option| option.code == code::MESSAGE);
    option.map(|option| String::from_utf8_lossy(&option.data).into_owned()).unwrap_or_default()
}

/// The reply, read back from its bytes.
fn reply(sending: &Sending) -> PreviewReply {
    let reply = &sending.reply;
    let encoded = reply.encode();
    let options = Packet::decode(&encoded.bytes).map_or_else(
        |_| Vec::new(),
        |packet| packet.options().map(|(code, data)| preview::option(code, data)).collect(),
    );
    PreviewReply {
        message: match reply.kind {
            ReplyType::Offer => "OFFER",
            ReplyType::Ack => "ACK",
            ReplyType::Nak => "NAK",
        }
        .to_owned(),
        yiaddr: reply.yiaddr,
        siaddr: reply.siaddr,
        file: reply.file.clone(),
        to: preview::destination(&sending.to),
        bytes: encoded.bytes.len(),
        options,
        left_out: encoded.left_out,
    }
}
