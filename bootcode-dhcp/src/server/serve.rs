//! The receive loop of one port.

use std::{net::Ipv4Addr, sync::Arc, time::Instant};

use bootcode_core::mac::MacAddr;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{
    Shell,
    flight::{Boarding, Flights},
    inbox::Inbox,
    link::Link,
    relays::Relays,
    socket::Port,
    throttle::{Pass, Rate, Throttle},
};
use crate::{limits, query::RxMeta};

/// Receives and answers until it is dropped. An interface that goes away is waited for.
pub(super) async fn serve(shell: &Arc<Shell>, mut port: Arc<Port>) {
    let mut inbox = Inbox::new();
    let mut throttle = Throttle::new(Instant::now());
    let mut flights = Flights::default();
    let mut watch = interval(limits::LINK_WATCH);
    watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut gone = false;
    loop {
        tokio::select! {
            ready = port.readable() => {
                let drained = match ready {
                    Ok(()) => drain(shell, &port, &mut inbox, &mut throttle, &mut flights).await,
                    Err(error) => Err(error),
                };
                let _ = shell.metrics.in_flight.set(flights.len() as i64);
                if let Err(error) = drained {
                    warn!(interface = %port.link.name, %error, "receiving DHCP failed; trying again");
                    tokio::time::sleep(limits::RECEIVE_RETRY).await;
                }
                // A flood shall not keep the others from their turn.
                tokio::task::yield_now().await;
            }
            () = flights.land() => {
                let _ = shell.metrics.in_flight.set(flights.len() as i64);
            }
            _ = watch.tick() => follow(&mut port, &mut gone),
        }
    }
}

/// Reads what has arrived, up to a burst, and starts the work on it. What is answered from memory leaves batch by batch.
async fn drain<'a>(
    shell: &'a Arc<Shell>,
    port: &Arc<Port>,
    inbox: &mut Inbox,
    throttle: &mut Throttle,
    flights: &mut Flights<'a>,
) -> std::io::Result<()> {
    for _ in 0..limits::BURST / limits::AT_ONCE {
        if !port.read(inbox)? {
            break;
        }
        port.gather();
        for (bytes, received) in inbox.packets() {
            let start = Instant::now();
            shell.metrics.received.inc();
            let to = received.to.filter(|to| port.link.addresses.contains(to));
            let rx = RxMeta { source: received.source, port: port.number, to };
            if let Some((mac, first)) = too_often(bytes, &rx, throttle, &shell.relays, start) {
                shell.hold(mac, first);
                continue;
            }
            let Some(query) = shell.read(bytes, &rx, &port.link) else { continue };
            let (mac, at) = (query.mac, Arc::clone(port));
            let flight = Box::pin(async move {
                shell.answer(query, &at, 0).await;
                shell.metrics.seconds.observe(start.elapsed().as_secs_f64());
            });
            if flights.board(mac, flight).await == Boarding::Dropped {
                shell.hold(mac, false);
            }
        }
        port.flush(&shell.metrics).await;
        if !inbox.is_full() {
            break;
        }
    }
    Ok(())
}

/// The client that asks too often, judged by the fixed fields alone: a flood is not even decoded.
fn too_often(
    bytes: &[u8],
    rx: &RxMeta,
    throttle: &mut Throttle,
    relays: &Relays,
    now: Instant,
) -> Option<(MacAddr, bool)> {
    const RATE: Rate = Rate { per_s: limits::CLIENT_PER_S, burst: limits::CLIENT_BURST };
    // Shorter ones are malformed, and told so.
    let [.., a, b, c, d, e, f] = bytes.get(24..34)? else { return None };
    let mac = [*a, *b, *c, *d, *e, *f];
    let [.., g, h, i, j] = bytes.get(24..28)? else { return None };
    let giaddr = Ipv4Addr::new(*g, *h, *i, *j);
    let key = mac.iter().fold(1, |key: u64, byte| key << 8 | u64::from(*byte));
    let mut pass = throttle.pass(key, RATE, now);
    // A declared relay speaks for many; anybody can write some `giaddr`. Broadcasts of machines without an address have no source to judge.
    let source = u32::from(*rx.source.ip());
    if pass == Pass::Yes && source != 0 && (giaddr.is_unspecified() || !relays.declared(giaddr, now)) {
        pass = throttle.pass(1 << 63 | u64::from(source), RATE, now);
    }
    match pass {
        Pass::Yes => None,
        Pass::No { first } => Some((MacAddr(mac), first)),
    }
}

/// Where the interface was made anew, or has other addresses, a new socket takes over.
fn follow(port: &mut Arc<Port>, gone: &mut bool) {
    let name = &port.link.name;
    match Link::find(name) {
        Ok(link) if link == *port.link => *gone = false,
        Ok(link) => match Port::open(&Arc::new(link), port.number) {
            Ok(new) => {
                info!(interface = %name, addresses = ?new.link.addresses, "DHCP follows a change of this interface");
                *gone = false;
                *port = Arc::new(new);
            }
            Err(error) => warn!(interface = %name, %error, "an interface has changed; trying again"),
        },
        Err(error) if !std::mem::replace(gone, true) => {
            warn!(interface = %name, %error, "an interface is gone; DHCP waits for it");
        }
        Err(_) => (),
    }
}

#[cfg(test)]
mod tests {
    use bootcode_core::document::{Network, NetworkSpec};

    use super::*;
    use crate::ServerPort;

    const DECLARED: &str = "10.0.0.9";

    fn held(giaddr: &str, source: &str, macs: impl Iterator<Item = u8>) -> usize {
        let now = Instant::now();
        let (mut throttle, relays) = (Throttle::new(now), Relays::default());
        let mut spec = NetworkSpec::new("10.0.0.0/8".parse().unwrap());
        spec.dhcp.relays = vec![DECLARED.parse().unwrap()];
        let network = Network { name: "hall".into(), spec };
        relays.learn(DECLARED.parse().unwrap(), &network, now);
        let rx = RxMeta { source: source.parse().unwrap(), port: ServerPort::Dhcp, to: None };
        let mut bytes = [0; 300];
        bytes[24..28].copy_from_slice(&giaddr.parse::<Ipv4Addr>().unwrap().octets());
        macs.filter(|mac| {
            bytes[33] = *mac;
            too_often(&bytes, &rx, &mut throttle, &relays, now).is_some()
        })
        .count()
    }

    #[test]
    fn a_flood_is_held_by_hardware_address_and_by_the_address_of_who_is_no_declared_relay() {
        let burst = limits::CLIENT_BURST as usize;
        let flood = || std::iter::repeat_n(7, 200);
        for (giaddr, source) in
            [("0.0.0.0", "0.0.0.0:68"), ("0.0.0.0", "10.0.0.9:68"), (DECLARED, "10.0.0.9:67")]
        {
            assert_eq!(held(giaddr, source, flood()), 200 - burst, "one machine from {source}");
        }
        for (giaddr, source, wanted) in [
            ("0.0.0.0", "0.0.0.0:68", 0),
            ("0.0.0.0", "10.0.0.9:68", 200 - burst),
            (DECLARED, "10.0.0.9:67", 0),
            // A relay may send from the address of another of its interfaces.
            (DECLARED, "10.0.0.7:67", 0),
            ("10.0.0.8", "10.0.0.8:67", 200 - burst),
            ("192.0.2.1", "10.0.0.9:67", 200 - burst),
        ] {
            assert_eq!(held(giaddr, source, 0..200), wanted, "200 machines by {giaddr} from {source}");
        }
    }
}
