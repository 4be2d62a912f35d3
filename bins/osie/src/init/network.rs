//! Brings up the card that netbooted, as the command line says: no DHCP client, nothing to wait for but the link.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::console::say;
use super::error::InitError;
use super::rtnetlink::Rtnetlink;
use super::signals::Signals;
use crate::cmdline::{BootArgs, Mac};
use crate::limits::{CARRIER_WAIT, NIC_WAIT, POLL};
use crate::netlink;

const CARDS: &str = "/sys/class/net";
const LOOPBACK: u32 = 1;

/// Sets the address, the route and the resolvers; gives the name of the interface.
///
/// A link without a carrier is told on the console and set up all the same: it may come later.
///
/// # Errors
/// No card with that MAC appeared within [`NIC_WAIT`], or the kernel refused a setting.
pub(super) fn bring_up(args: &BootArgs, signals: &Signals) -> Result<String, InitError> {
    let kernel = Rtnetlink::open()?;
    kernel.ask("bring lo up", &netlink::link_up(LOOPBACK))?;
    let card = find_card(args.mac, signals)?;
    if let Some(mtu) = args.mtu {
        write(&Path::new(CARDS).join(&card).join("mtu"), &mtu.to_string())?;
    }
    let index = index_of(&card)?;
    kernel.ask(format!("bring {card} up"), &netlink::link_up(index))?;
    wait_for_carrier(&card, signals);
    let (name, index) = match args.vlan {
        None => (card, index),
        Some(id) => add_vlan(&kernel, &card, index, id)?,
    };
    kernel.ask(format!("give {name} the address {}", args.addr), &netlink::add_address(index, args.addr))?;
    if let Some(gateway) = args.gw {
        let route = netlink::add_default_route(index, gateway, !args.addr.contains(&gateway));
        kernel.ask(format!("route by way of {gateway}"), &route)?;
    }
    let resolvers: String = args.dns.iter().map(|server| format!("nameserver {server}\n")).collect();
    write(Path::new("/etc/resolv.conf"), &resolvers)?;
    Ok(name)
}

fn find_card(wanted: Mac, signals: &Signals) -> Result<String, InitError> {
    let until = Instant::now() + NIC_WAIT;
    loop {
        let cards = cards();
        if let Some((name, _)) = cards.iter().find(|(_, mac)| *mac == wanted) {
            return Ok(name.clone());
        }
        if Instant::now() >= until {
            let found = cards.iter().map(|(name, mac)| format!("{name} {mac}")).collect();
            return Err(InitError::NoCard { wanted, found });
        }
        signals.sleep(POLL);
    }
}

/// Name and MAC of every Ethernet card, without those that only stand for others (VLANs, bridges).
fn cards() -> Vec<(String, Mac)> {
    let entries = fs::read_dir(CARDS).into_iter().flatten().flatten().map(|entry| entry.path());
    let real = entries.filter(|path| path.join("device").exists());
    real.filter_map(|path: PathBuf| {
        // A virtio card in fail-over shows one MAC on three interfaces; the one above the others is the one to use.
        let mac: Mac = fs::read_to_string(path.join("address")).ok()?.trim().parse().ok()?;
        let enslaved = path.join("master").exists();
        (!enslaved).then(|| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), mac))
    })
    .collect()
}

fn wait_for_carrier(card: &str, signals: &Signals) {
    let carrier = Path::new(CARDS).join(card).join("carrier");
    let start = Instant::now();
    let mut told = false;
    while fs::read_to_string(&carrier).map_or(true, |text| text.trim() != "1") {
        if start.elapsed() >= CARRIER_WAIT {
            say(format_args!(
                "{card} still has no link; going on without, check the cable and the switch port"
            ));
            return;
        }
        if !told && start.elapsed() > Duration::from_secs(3) {
            say(format_args!("waiting for the link of {card}, at most {} s", CARRIER_WAIT.as_secs()));
            told = true;
        }
        signals.sleep(POLL);
    }
}

fn add_vlan(kernel: &Rtnetlink, card: &str, parent: u32, id: u16) -> Result<(String, u32), InitError> {
    // Fifteen bytes are the longest name that an interface may have.
    let name = format!("vlan{id}");
    kernel.ask(format!("make VLAN {id} on {card}"), &netlink::add_vlan(parent, id, &name))?;
    let index = index_of(&name)?;
    kernel.ask(format!("bring {name} up"), &netlink::link_up(index))?;
    Ok((name, index))
}

fn index_of(name: &str) -> Result<u32, InitError> {
    let path = Path::new(CARDS).join(name).join("ifindex");
    let text = fs::read_to_string(&path).map_err(InitError::file("read", &path))?;
    let odd = |_| std::io::Error::from(std::io::ErrorKind::InvalidData);
    text.trim().parse().map_err(odd).map_err(InitError::file("read", &path))
}

fn write(path: &Path, text: &str) -> Result<(), InitError> {
    fs::write(path, text).map_err(InitError::file("write", path))
}
