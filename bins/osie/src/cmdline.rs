//! What the kernel's command line tells OSIE: `bootcode.KEY=VALUE`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::limits::DNS_SERVERS;

/// The machine's part of the command line, parsed.
///
/// The worker reads `bootcode.token=` and `bootcode.inventory=` itself; here they are only checked to be there, and never kept or printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootArgs {
    /// The card that netbooted: `bootcode.mac=52:54:00:00:00:01`.
    pub mac: Mac,
    /// Its address with the prefix length: `bootcode.addr=192.168.99.11/24`.
    pub addr: IpNet,
    /// The default gateway, when there is one: `bootcode.gw=192.168.99.1`.
    pub gw: Option<IpAddr>,
    /// At most [`DNS_SERVERS`] resolvers: `bootcode.dns=192.168.99.1,192.168.99.2`.
    pub dns: Vec<IpAddr>,
    /// The VLAN that carries the address, 1 to 4094: `bootcode.vlan=12`.
    pub vlan: Option<u16>,
    /// The card's MTU in bytes, 576 to 65535: `bootcode.mtu=9000`.
    pub mtu: Option<u32>,
    /// The provisioning server: `bootcode.server=http://192.168.99.1:7080`.
    pub server: String,
    /// The worker's id, which is the machine's name: `bootcode.worker=node-1`; none on a machine that nobody declared, which has
    /// `bootcode.inventory=` instead of a name and `bootcode.token=`.
    pub worker: Option<String>,
}

/// One key that is missing or has the wrong form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgFault {
    /// The key is not on the command line.
    #[error("the kernel command line has no {key}=: give {form}, such as {key}={example}")]
    Missing {
        /// The key without `=`.
        key: &'static str,
        /// What the value must be.
        form: &'static str,
        /// One value that would do.
        example: &'static str,
    },
    /// The key's value cannot be read.
    #[error("{key}={given} on the kernel command line is wrong: give {form}, such as {key}={example}")]
    Wrong {
        /// The key without `=`.
        key: &'static str,
        /// The value as it was given.
        given: String,
        /// What the value must be.
        form: &'static str,
        /// One value that would do.
        example: &'static str,
    },
}

impl BootArgs {
    /// Reads the keys from a whole kernel command line; of a key given twice the last counts, as in the kernel.
    ///
    /// # Errors
    /// Every fault that the line has, not only the first.
    pub fn parse(line: &str) -> Result<Self, Vec<ArgFault>> {
        let mut faults = Vec::new();
        let mac = required(line, &MAC, &mut faults, |value| value.parse().ok());
        let addr = required(line, &ADDR, &mut faults, interface_address);
        let server = required(line, &SERVER, &mut faults, server_url);
        let worker = if value(line, INVENTORY.name).is_some() {
            required(line, &INVENTORY, &mut faults, non_empty).map(|_| None)
        } else {
            let worker = required(line, &WORKER, &mut faults, non_empty);
            let token = required(line, &TOKEN, &mut faults, non_empty);
            worker.zip(token).map(|(worker, _)| Some(worker))
        };
        let gw = optional(line, &GW, &mut faults, |value| value.parse().ok());
        let dns = optional(line, &DNS, &mut faults, resolvers).unwrap_or_default();
        let vlan = optional(line, &VLAN, &mut faults, |value| in_range(value, 1, 4094))
            .and_then(|id| u16::try_from(id).ok());
        let mtu = optional(line, &MTU, &mut faults, |value| in_range(value, 576, 65535));
        match (mac, addr, server, worker) {
            (Some(mac), Some(addr), Some(server), Some(worker)) if faults.is_empty() => {
                Ok(Self { mac, addr, gw, dns, vlan, mtu, server, worker })
            }
            _ => Err(faults),
        }
    }
}

/// A MAC address of an Ethernet card.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

/// A text that is not six pairs of hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a MAC address: six pairs of hex digits with `:` or `-` between them")]
pub struct MacError {
    /// The text as it was given.
    pub given: String,
}

impl FromStr for Mac {
    type Err = MacError;

    /// Takes `52:54:00:ab:cd:ef`, `52-54-00-AB-CD-EF` (iPXE's `${mac:hexhyp}`).
    fn from_str(text: &str) -> Result<Self, MacError> {
        let error = || MacError { given: text.chars().take(32).collect() };
        let mut bytes = [0u8; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(error)?;
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(error());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| error())?;
        }
        if parts.next().is_some() { Err(error()) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mac({self})")
    }
}

struct Key {
    name: &'static str,
    form: &'static str,
    example: &'static str,
    secret: bool,
}

const fn key(name: &'static str, form: &'static str, example: &'static str) -> Key {
    Key { name, form, example, secret: false }
}

const MAC: Key = key("bootcode.mac", "six pairs of hex digits with colons", "52:54:00:00:00:01");
const ADDR: Key = key("bootcode.addr", "ADDRESS/PREFIX of the network card", "192.168.99.11/24");
const GW: Key = key("bootcode.gw", "the gateway's address", "192.168.99.1");
const DNS: Key = key("bootcode.dns", "addresses of resolvers with commas", "192.168.99.1,192.168.99.2");
const VLAN: Key = key("bootcode.vlan", "a VLAN id from 1 to 4094", "12");
const MTU: Key = key("bootcode.mtu", "bytes from 576 to 65535", "1500");
const SERVER: Key =
    key("bootcode.server", "the server's http:// or https:// URL", "http://192.168.99.1:7080");
const WORKER: Key = key("bootcode.worker", "the name of this machine", "node-1");
const TOKEN: Key =
    Key { name: "bootcode.token", form: "the token of this boot", example: "TOKEN", secret: true };
const INVENTORY: Key = Key {
    name: "bootcode.inventory",
    form: "the token of this boot of a machine that nobody declared",
    example: "TOKEN",
    secret: true,
};

fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut values =
        line.split_ascii_whitespace().filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    values.next_back().map(|value| value.trim_matches('"'))
}

fn required<T>(
    line: &str,
    key: &Key,
    faults: &mut Vec<ArgFault>,
    read: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    if value(line, key.name).is_none() {
        faults.push(ArgFault::Missing { key: key.name, form: key.form, example: key.example });
    }
    optional(line, key, faults, read)
}

fn optional<T>(
    line: &str,
    key: &Key,
    faults: &mut Vec<ArgFault>,
    read: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let given = value(line, key.name)?;
    let parsed = read(given);
    if parsed.is_none() {
        let given = if key.secret { "***".to_owned() } else { given.chars().take(80).collect() };
        faults.push(ArgFault::Wrong { key: key.name, given, form: key.form, example: key.example });
    }
    parsed
}

fn non_empty(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn server_url(value: &str) -> Option<String> {
    let host = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"))?;
    (!host.is_empty()).then(|| value.to_owned())
}

/// An address that a card can have: not unspecified, not multicast, and with its prefix written out.
fn interface_address(value: &str) -> Option<IpNet> {
    let net: IpNet = value.parse().ok()?;
    let usable = !net.addr().is_unspecified() && !net.addr().is_multicast() && net.prefix_len() > 0;
    usable.then_some(net)
}

fn resolvers(value: &str) -> Option<Vec<IpAddr>> {
    let named = value.split(',').filter(|part| !part.is_empty());
    named.take(DNS_SERVERS).map(|part| part.parse().ok()).collect()
}

fn in_range(value: &str, low: u32, high: u32) -> Option<u32> {
    value.parse().ok().filter(|number| (low..=high).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "console=ttyS0 bootcode.mac=52:54:00:00:00:01 bootcode.addr=192.168.99.11/24 \
        bootcode.gw=192.168.99.1 bootcode.dns=192.168.99.1,9.9.9.9 bootcode.server=http://192.168.99.1:7080 \
        bootcode.worker=node-1 bootcode.token=secret-token";

    #[test]
    fn a_whole_line_gives_every_value() {
        let args = BootArgs::parse(WHOLE).unwrap();
        assert_eq!(args.mac, Mac([0x52, 0x54, 0, 0, 0, 1]));
        assert_eq!(args.addr, "192.168.99.11/24".parse().unwrap());
        assert_eq!(args.gw, Some("192.168.99.1".parse().unwrap()));
        assert_eq!(args.dns.len(), 2);
        assert_eq!((args.vlan, args.mtu), (None, None));
        assert_eq!(args.worker.as_deref(), Some("node-1"));
        assert!(!format!("{args:?}").contains("secret-token"));
    }

    #[test]
    fn every_fault_is_told_at_once_with_the_key_and_its_form() {
        let cases: &[(&str, &[&str])] = &[
            ("", &["bootcode.mac", "bootcode.addr", "bootcode.server", "bootcode.worker", "bootcode.token"]),
            ("bootcode.mac=52:54:00:00:00", &["bootcode.mac=52:54:00:00:00 on"]),
            ("bootcode.mac=52:54:00:00:00:01:02", &["bootcode.mac=52"]),
            ("bootcode.mac=+2:54:00:00:00:01", &["bootcode.mac=+2"]),
            ("bootcode.addr=192.168.99.11", &["ADDRESS/PREFIX"]),
            ("bootcode.addr=192.168.99.11/33", &["bootcode.addr=192.168.99.11/33"]),
            ("bootcode.addr=0.0.0.0/24", &["bootcode.addr=0.0.0.0/24"]),
            ("bootcode.gw=router", &["bootcode.gw=router"]),
            ("bootcode.dns=1.1.1.1,x", &["bootcode.dns=1.1.1.1,x"]),
            ("bootcode.vlan=4095", &["1 to 4094"]),
            ("bootcode.mtu=100", &["576"]),
            ("bootcode.server=192.168.99.1", &["http://"]),
            ("bootcode.worker=", &["bootcode.worker="]),
            ("bootcode.token=", &["bootcode.token=***"]),
            ("bootcode.inventory=", &["bootcode.inventory=***"]),
        ];
        for (line, expected) in cases {
            let line = if line.is_empty() { String::new() } else { format!("{WHOLE} {line}") };
            let faults = BootArgs::parse(&line).unwrap_err();
            assert_eq!(faults.len(), expected.len(), "{line}: {faults:?}");
            for (fault, part) in faults.iter().zip(*expected) {
                assert!(fault.to_string().contains(part), "{line}: {fault}");
            }
        }
    }

    #[test]
    fn a_machine_that_nobody_declared_has_a_token_and_no_name() {
        let line = WHOLE.replace("bootcode.worker=node-1 bootcode.token=", "bootcode.inventory=");
        let args = BootArgs::parse(&line).unwrap();
        assert_eq!((args.worker.as_deref(), args.mac), (None, Mac([0x52, 0x54, 0, 0, 0, 1])));
        assert!(!format!("{args:?}").contains("secret-token"));
    }

    #[test]
    fn the_last_of_two_values_counts_and_other_keys_are_left_alone() {
        let args =
            BootArgs::parse(&format!("{WHOLE} bootcode.macs=x bootcode.mac=52-54-00-AB-CD-EF")).unwrap();
        assert_eq!(args.mac.to_string(), "52:54:00:ab:cd:ef");
    }

    #[test]
    fn an_ipv6_address_and_a_vlan_are_taken() {
        let line = format!(
            "{WHOLE} bootcode.addr=fd00::b/64 bootcode.gw=fd00::1 bootcode.vlan=12 bootcode.mtu=9000"
        );
        let args = BootArgs::parse(&line).unwrap();
        assert_eq!((args.addr.prefix_len(), args.vlan, args.mtu), (64, Some(12), Some(9000)));
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read_or_refused_without_a_panic(line in ".{0,300}") {
            let _ = BootArgs::parse(&line);
            let _ = BootArgs::parse(&format!("bootcode.mac={line}"));
        }
    }
}
