//! Any DHCP option by its number: `{code: 26, u16: 1500}`.

use std::net::Ipv4Addr;

use data_encoding::HEXLOWER_PERMISSIVE;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::limits::{DHCP_OPTION_BYTES, DOMAIN_BYTES};

/// An option that a Network, a Profile or a Hardware gives to those that ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenOption", into = "WrittenOption")]
pub struct DhcpOption {
    /// Its code, none of those that the protocol owns.
    pub code: u8,
    /// What it says.
    pub value: OptionValue,
    /// Also to clients that do not ask for it.
    pub always: bool,
}

/// What an option says, by the type that its RFC gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// One byte.
    U8(u8),
    /// Two bytes, the high one first.
    U16(u16),
    /// Four bytes, the high one first.
    U32(u32),
    /// One byte: 1 or 0.
    Flag(bool),
    /// Text, without a NUL at its end.
    Text(String),
    /// Bytes as they are.
    Hex(Vec<u8>),
    /// IPv4 addresses.
    Ips(Vec<Ipv4Addr>),
    /// Domain names, compressed (RFC 1035 4.1.4, RFC 3397 2).
    Domains(Vec<String>),
    /// Classless routes (RFC 3442).
    Routes(Vec<Route>),
}

/// A route that machines are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Where to; host bits must be zero.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub to: Ipv4Net,
    /// The router.
    pub via: Ipv4Addr,
}

/// An option as it is written: its code and exactly one value.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "DhcpOption"))]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenOption {
    /// Its code, 1 to 254.
    code: u8,
    /// Also to clients that do not ask for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    always: bool,
    /// One byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u8: Option<u8>,
    /// Two bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u16: Option<u16>,
    /// Four bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u32: Option<u32>,
    /// One byte, 1 or 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flag: Option<bool>,
    /// Text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Bytes in hexadecimal; colons and spaces between them are passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    /// IPv4 addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ips: Option<Vec<Ipv4Addr>>,
    /// Domain names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    domains: Option<Vec<String>>,
    /// Routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routes: Option<Vec<Route>>,
}

/// Options that a document cannot give, and what does.
const OWNED: &[(&[u8], &str)] = &[
    (&[0, 255], "it pads or ends the options"),
    (&[1, 28], "it follows from the Network's `cidr`"),
    (&[50, 52, 53, 54, 55, 56, 57, 116, 118], "the protocol itself uses it"),
    (&[51, 58, 59], "write the Network's `lease`"),
    (&[60, 61, 77, 80, 93, 94, 97], "the client says it, and the server answers as it has to"),
    (
        &[66, 67],
        "what a machine loads is decided from its work: write `netboot` in the Network, Profile or Hardware",
    ),
    (&[82, 90], "relay agents and authentication are not a document's"),
    (
        &[175, 208, 209, 210, 211],
        "what a boot loader is told is decided from the machine's work: write `netboot`",
    ),
];

impl TryFrom<WrittenOption> for DhcpOption {
    type Error = String;

    fn try_from(written: WrittenOption) -> Result<Self, Self::Error> {
        let code = written.code;
        if let Some((_, why)) = OWNED.iter().find(|(codes, _)| codes.contains(&code)) {
            return Err(format!("option {code} cannot be given here: {why}"));
        }
        let mut values: Vec<Result<OptionValue, String>> = Vec::with_capacity(1);
        values.extend(written.u8.map(|n| Ok(OptionValue::U8(n))));
        values.extend(written.u16.map(|n| Ok(OptionValue::U16(n))));
        values.extend(written.u32.map(|n| Ok(OptionValue::U32(n))));
        values.extend(written.flag.map(|flag| Ok(OptionValue::Flag(flag))));
        values.extend(written.text.map(|text| Ok(OptionValue::Text(text))));
        values.extend(written.hex.map(|hex| read_hex(&hex).map(OptionValue::Hex)));
        values.extend(written.ips.map(|ips| Ok(OptionValue::Ips(ips))));
        values.extend(written.domains.map(|domains| read_domains(domains).map(OptionValue::Domains)));
        values.extend(written.routes.map(|routes| read_routes(routes).map(OptionValue::Routes)));
        let Some(value) = values.pop().filter(|_| values.is_empty()) else {
            return Err(format!(
                "option {code} needs exactly one value: u8, u16, u32, flag, text, hex, ips, domains or routes"
            ));
        };
        let option = Self { code, value: value?, always: written.always };
        match option.bytes().len() {
            0 => Err(format!("option {code} says nothing: leave it out, or write a value")),
            bytes if bytes > DHCP_OPTION_BYTES => Err(format!(
                "option {code} has {bytes} bytes, and a reply holds {DHCP_OPTION_BYTES} of one option"
            )),
            _ => Ok(option),
        }
    }
}

impl From<DhcpOption> for WrittenOption {
    fn from(option: DhcpOption) -> Self {
        let mut written = Self { code: option.code, always: option.always, ..Self::default() };
        match option.value {
            OptionValue::U8(n) => written.u8 = Some(n),
            OptionValue::U16(n) => written.u16 = Some(n),
            OptionValue::U32(n) => written.u32 = Some(n),
            OptionValue::Flag(flag) => written.flag = Some(flag),
            OptionValue::Text(text) => written.text = Some(text),
            OptionValue::Hex(bytes) => written.hex = Some(HEXLOWER_PERMISSIVE.encode(&bytes)),
            OptionValue::Ips(ips) => written.ips = Some(ips),
            OptionValue::Domains(domains) => written.domains = Some(domains),
            OptionValue::Routes(routes) => written.routes = Some(routes),
        }
        written
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for DhcpOption {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenOption::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenOption::json_schema(generator)
    }
}

impl DhcpOption {
    /// Its bytes as they are sent, without code and length.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match &self.value {
            OptionValue::U8(n) => vec![*n],
            OptionValue::U16(n) => n.to_be_bytes().to_vec(),
            OptionValue::U32(n) => n.to_be_bytes().to_vec(),
            OptionValue::Flag(flag) => vec![u8::from(*flag)],
            OptionValue::Text(text) => text.as_bytes().to_vec(),
            OptionValue::Hex(bytes) => bytes.clone(),
            OptionValue::Ips(ips) => ips.iter().flat_map(Ipv4Addr::octets).collect(),
            OptionValue::Domains(domains) => domain_list(domains),
            OptionValue::Routes(routes) => route_list(routes.iter().copied()),
        }
    }
}

/// Routes as RFC 3442 writes them: the prefix's length, the bytes of it that count, the router.
#[must_use]
pub fn route_list(routes: impl IntoIterator<Item = Route>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for route in routes {
        let prefix = route.to.prefix_len();
        bytes.push(prefix);
        bytes.extend_from_slice(&route.to.network().octets()[..usize::from(prefix.div_ceil(8))]);
        bytes.extend_from_slice(&route.via.octets());
    }
    bytes
}

/// Domains as RFC 3397 2 wants them: labels, and a pointer where the rest of a name was written before (RFC 1035 4.1.4). What is no
/// domain is left out.
#[must_use]
pub fn domain_list<T: AsRef<str>>(domains: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut written: Vec<(String, usize)> = Vec::new();
    for domain in domains {
        let mut rest = domain.as_ref().trim_end_matches('.');
        if domain_fault(rest).is_some() {
            continue;
        }
        loop {
            let known = rest.to_ascii_lowercase();
            if let Some((_, at)) = written.iter().find(|(name, _)| *name == known) {
                // Pointers have 14 bits; what lies behind them is never pointed at.
                let pointer = 0xc000 | *at as u16;
                bytes.extend_from_slice(&pointer.to_be_bytes());
                break;
            }
            if bytes.len() < 0x4000 {
                written.push((known, bytes.len()));
            }
            let (label, more) = rest.split_once('.').unwrap_or((rest, ""));
            // A label was found to have 63 bytes at most.
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
            if more.is_empty() {
                bytes.push(0);
                break;
            }
            rest = more;
        }
    }
    bytes
}

/// Why this is no domain (RFC 1035 2.3.4).
fn domain_fault(domain: &str) -> Option<String> {
    let labels_fit = domain.split('.').all(|label| (1..=63).contains(&label.len()) && label.is_ascii());
    (!labels_fit || domain.len() > DOMAIN_BYTES)
        .then(|| format!("`{domain}` is no domain: write labels of 1 to 63 characters, as in lab.example"))
}

fn read_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b':' | b' ')).collect();
    HEXLOWER_PERMISSIVE
        .decode(&digits)
        .map_err(|_| format!("`{text}` is not hexadecimal: write two digits for each byte, as in 01:ff"))
}

fn read_domains(domains: Vec<String>) -> Result<Vec<String>, String> {
    match domains.iter().find_map(|domain| domain_fault(domain.trim_end_matches('.'))) {
        None => Ok(domains),
        Some(fault) => Err(fault),
    }
}

fn read_routes(routes: Vec<Route>) -> Result<Vec<Route>, String> {
    match routes.iter().find(|route| route.to != route.to.trunc()) {
        None => Ok(routes),
        Some(route) => {
            Err(format!("host bits of the route to {} are set: write {}", route.to, route.to.trunc()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DhcpOption, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_becomes_the_bytes_that_its_type_has() {
        for (text, bytes) in [
            ("{code: 23, u8: 64}", &[64][..]),
            ("{code: 26, u16: 1500}", &[5, 220]),
            ("{code: 2, u32: 3600}", &[0, 0, 14, 16]),
            ("{code: 19, flag: true}", &[1]),
            ("{code: 114, text: 'https://x/'}", b"https://x/"),
            ("{code: 43, hex: '01:04 0a000001'}", &[1, 4, 10, 0, 0, 1]),
            ("{code: 150, ips: [10.0.0.1, 10.0.0.2]}", &[10, 0, 0, 1, 10, 0, 0, 2]),
            ("{code: 121, routes: [{to: 10.0.0.0/8, via: 192.0.2.1}]}", &[8, 10, 192, 0, 2, 1]),
            ("{code: 121, routes: [{to: 0.0.0.0/0, via: 192.0.2.1}]}", &[0, 192, 0, 2, 1]),
            ("{code: 121, routes: [{to: 10.17.0.0/17, via: 192.0.2.1}]}", &[17, 10, 17, 0, 192, 0, 2, 1]),
        ] {
            let option = read(text).unwrap();
            assert_eq!(option.bytes(), bytes, "{text}");
            let again = serde_json::to_value(&option).unwrap();
            assert_eq!(serde_json::from_value::<DhcpOption>(again).unwrap(), option, "{text}");
        }
    }

    #[test]
    fn domains_point_at_what_was_written_before() {
        let list =
            domain_list(&["eng.lab.example", "lab.example.", "LAB.example", "ops.lab.example", "a..b"]);
        assert_eq!(list, b"\x03eng\x03lab\x07example\0\xc0\x04\xc0\x04\x03ops\xc0\x04");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_its_remedy() {
        for (text, part) in [
            ("{code: 53, u8: 5}", "the protocol itself uses it"),
            ("{code: 51, u32: 60}", "write the Network's `lease`"),
            ("{code: 82, hex: ff}", "relay agents"),
            ("{code: 67, text: x}", "write `netboot`"),
            ("{code: 1, ips: [255.0.0.0]}", "`cidr`"),
            ("{code: 255, u8: 1}", "pads or ends"),
            ("{code: 256, u8: 1}", "256"),
            ("{code: 26}", "exactly one value"),
            ("{code: 26, u8: 1, u16: 1}", "exactly one value"),
            ("{code: 26, u16: 70000}", "70000"),
            ("{code: 43, hex: '123'}", "two digits for each byte"),
            ("{code: 43, hex: '+1'}", "two digits for each byte"),
            ("{code: 43, hex: ''}", "says nothing"),
            ("{code: 150, ips: []}", "says nothing"),
            ("{code: 119, domains: [a..b]}", "`a..b` is no domain"),
            ("{code: 121, routes: [{to: 10.0.0.1/8, via: 192.0.2.1}]}", "write 10.0.0.0/8"),
            ("{code: 26, u61: 3}", "u61"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let long = format!("{{code: 43, hex: '{}'}}", "00".repeat(DHCP_OPTION_BYTES + 1));
        assert!(read(&long).unwrap_err().contains("bytes"));
    }
}
