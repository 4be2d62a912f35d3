//! Which address just did DHCP for which machine, and the token it was given.

use std::{collections::HashMap, net::IpAddr, sync::Mutex, time::Duration};

use super::{Claims, Entropy, Sealer, Use, random_id};
use crate::{clock::Timestamp, limits::INVENTORY_TOKEN_SECONDS, mac::MacAddr, timeline::Reason};

/// Machines remembered; far more than boot within an hour.
const MACHINES: usize = 131_072;
/// How long a DHCP exchange lets a machine fetch its script. Large firmware sits some minutes in its boot menu.
const EXCHANGE: Duration = Duration::from_secs(3600);
/// How long a script that is fetched again has the same token.
const REFETCH: Duration = Duration::from_secs(600);
/// How long a boot token can be redeemed: until OSIE has started, on the slowest server that we know of.
const BOOT_TOKEN: Duration = Duration::from_secs(3600);

/// The DHCP exchanges of machines that boot just now.
#[derive(Debug, Default)]
pub struct BootSessions {
    boots: Mutex<HashMap<MacAddr, Boot>>,
}

#[derive(Debug)]
struct Boot {
    /// `None`: another server leases, the first that asks is the machine.
    ip: Option<IpAddr>,
    at: Timestamp,
    token: Option<Minted>,
}

#[derive(Debug)]
struct Minted {
    token: String,
    at: Timestamp,
    /// What it says, but for what is new each time: whoever was declared meanwhile is given another.
    holder: Holder,
}

/// Who is given a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A declared machine: OSIE runs its workflow.
    Machine {
        /// The Hardware's name.
        name: String,
    },
    /// A machine that nobody declared: OSIE tells what it is, and waits.
    Undeclared {
        /// The Network that has it boot.
        network: String,
    },
}

impl BootSessions {
    /// Without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A machine was ACKed an address, or asked another server for one: a new boot begins.
    pub fn saw_ack(&self, mac: MacAddr, ip: IpAddr, now: Timestamp) {
        self.begin(mac, Some(ip), now);
    }

    /// A machine that another server leases to sent a DISCOVER: the first address that asks for its script will be its own.
    pub fn saw_discover(&self, mac: MacAddr, now: Timestamp) {
        self.begin(mac, None, now);
    }

    /// A server that has just started knows of no exchange. The address `ip` is the machine's own reservation and asks already: its
    /// exchange was with the server before this one, which nobody remembers. Changes nothing where an exchange was seen.
    pub fn saw_after_start(&self, mac: MacAddr, ip: IpAddr, now: Timestamp) {
        let mut boots = self.boots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if boots.len() < MACHINES && boots.get(&mac).is_none_or(|boot| passed(boot.at, EXCHANGE, now)) {
            boots.insert(mac, Boot { ip: Some(ip), at: now, token: None });
        }
    }

    fn begin(&self, mac: MacAddr, ip: Option<IpAddr>, now: Timestamp) {
        let mut boots = self.boots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if boots.len() >= MACHINES {
            boots.retain(|_, boot| !passed(boot.at, EXCHANGE, now));
        }
        if boots.len() < MACHINES || boots.contains_key(&mac) {
            boots.insert(mac, Boot { ip, at: now, token: None });
        }
    }

    /// The token that `holder`, whose interface is `mac`, boots OSIE with, for the address `peer`: of [`Use::Boot`] or [`Use::Inventory`].
    ///
    /// # Errors
    /// [`Reason::NoBootSession`] where no DHCP exchange was seen, [`Reason::WrongPeer`] where another address did it.
    pub fn boot_token(
        &self,
        holder: &Holder,
        mac: MacAddr,
        peer: IpAddr,
        sealer: &Sealer,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<String, Reason> {
        let mut boots = self.boots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let boot = known(&mut boots, mac, peer, now)?;
        if let Some(minted) = &boot.token
            && minted.holder == *holder
            && !passed(minted.at, REFETCH, now)
        {
            return Ok(minted.token.clone());
        }
        let token = sealer.seal(&holder.claims(mac, random_id(entropy), now));
        boot.token = Some(Minted { token: token.clone(), at: now, holder: holder.clone() });
        Ok(token)
    }

    /// Whether the address `peer` just did DHCP for `mac`, as whoever is given a token has to have.
    ///
    /// # Errors
    /// As [`BootSessions::boot_token`].
    pub fn admit(&self, mac: MacAddr, peer: IpAddr, now: Timestamp) -> Result<(), Reason> {
        let mut boots = self.boots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known(&mut boots, mac, peer, now).map(drop)
    }
}

/// The boot of the machine that asks from `peer`.
fn known(
    boots: &mut HashMap<MacAddr, Boot>,
    mac: MacAddr,
    peer: IpAddr,
    now: Timestamp,
) -> Result<&mut Boot, Reason> {
    let boot =
        boots.get_mut(&mac).filter(|boot| !passed(boot.at, EXCHANGE, now)).ok_or(Reason::NoBootSession)?;
    if *boot.ip.get_or_insert(peer) != peer {
        return Err(Reason::WrongPeer);
    }
    // It still holds its address and asks again: a script whose files cannot be loaded comes back for as long as it takes.
    boot.at = now;
    Ok(boot)
}

impl Holder {
    fn claims(&self, mac: MacAddr, id: String, now: Timestamp) -> Claims {
        let (used_for, hardware, bound, seconds) = match self {
            Self::Machine { name } => (Use::Boot, name.clone(), String::new(), BOOT_TOKEN.as_secs()),
            Self::Undeclared { network } => {
                (Use::Inventory, mac.to_string(), network.clone(), INVENTORY_TOKEN_SECONDS)
            }
        };
        let expires = now.as_second().saturating_add(seconds.cast_signed());
        Claims { used_for, hardware, id, bound, expires }
    }
}

fn passed(since: Timestamp, span: Duration, now: Timestamp) -> bool {
    now.as_second().saturating_sub(since.as_second()) > span.as_secs().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    };

    use super::*;

    #[test]
    fn only_the_address_that_did_dhcp_gets_a_token_and_a_new_exchange_gives_a_new_one() {
        let (sessions, sealer) = (BootSessions::new(), Sealer::new([1; 32]));
        let count = AtomicU8::new(0);
        let entropy: Entropy = Arc::new(move || [count.fetch_add(1, Ordering::Relaxed); 16]);
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let [own, other]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        let at = |second| Timestamp::from_second(second).unwrap();
        let declared = Holder::Machine { name: "n".to_owned() };
        let ask = |peer, second| sessions.boot_token(&declared, mac, peer, &sealer, &entropy, at(second));

        assert_eq!(ask(own, 0), Err(Reason::NoBootSession));
        sessions.saw_ack(mac, own, at(0));
        assert_eq!(ask(other, 1), Err(Reason::WrongPeer));
        let first = ask(own, 1).unwrap();
        assert_eq!(ask(own, 600).unwrap(), first, "fetched again in the same boot");
        sessions.saw_ack(mac, own, at(601));
        assert_ne!(ask(own, 602).unwrap(), first, "another boot");
        assert_eq!(ask(own, 602 + 3601), Err(Reason::NoBootSession));

        sessions.saw_after_start(mac, own, at(9000));
        assert!(ask(own, 9001).is_ok(), "the exchange was with the server before this one");
        sessions.saw_after_start(mac, other, at(9002));
        assert_eq!(ask(other, 9003), Err(Reason::WrongPeer), "an exchange that was seen stands");
        assert!(ask(own, 9001 + 3600).is_ok());
        assert!(ask(own, 9001 + 7200).is_ok(), "one that asks again and again still boots");

        sessions.saw_discover(mac, at(20_000));
        assert!(ask(other, 20_001).is_ok(), "pinned to the first that asks");
        assert_eq!(ask(own, 20_002), Err(Reason::WrongPeer));
    }

    #[test]
    fn a_machine_that_is_declared_between_two_scripts_is_given_another_token() {
        let (sessions, sealer) = (BootSessions::new(), Sealer::new([1; 32]));
        let entropy: Entropy = Arc::new(|| [7; 16]);
        let (mac, peer) = (MacAddr([2, 0, 0, 0, 0, 1]), [10, 0, 0, 1].into());
        let at = |second| Timestamp::from_second(second).unwrap();
        let undeclared = Holder::Undeclared { network: "lab".to_owned() };
        let declared = Holder::Machine { name: "n".to_owned() };
        let token =
            |holder, second| sessions.boot_token(holder, mac, peer, &sealer, &entropy, at(second)).unwrap();
        let open = |token: &str, used_for, second| sealer.open(token, used_for, at(second));
        sessions.saw_ack(mac, peer, at(0));
        let first = token(&undeclared, 1);
        assert_eq!(token(&undeclared, 2), first);
        let claims = open(&first, Use::Inventory, 1 + 86_400).unwrap();
        assert_eq!((&*claims.hardware, &*claims.bound), ("02:00:00:00:00:01", "lab"));
        assert_eq!(open(&first, Use::Inventory, 2 + 86_400), Err(super::super::TokenError::Expired));
        for other in [Use::Boot, Use::Session, Use::Instance, Use::Imds] {
            assert_eq!(open(&first, other, 1), Err(super::super::TokenError::WrongUse), "{other:?}");
        }
        let second = token(&declared, 3);
        assert_eq!(open(&second, Use::Boot, 3).unwrap().hardware, "n");
        assert_eq!(open(&token(&undeclared, 4), Use::Inventory, 4).unwrap().bound, "lab", "and back");
    }
}
