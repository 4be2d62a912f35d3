//! Options of a reply as names and values.

use std::{fmt::Write as _, net::Ipv4Addr};

use bootcode_core::preview::PreviewOption;

use crate::wire::code;

/// What the bytes of an option are.
#[derive(Debug, Clone, Copy)]
enum Form {
    Ips,
    Text,
    Seconds,
    Number,
    Domains,
    Routes,
    /// Options within the option.
    Encapsulated,
    MessageType,
    /// Nothing to say but that it is there.
    Flag,
}

/// IANA's registry "BOOTP Vendor Extensions and DHCP Options", as far as the server sends them by itself or documents often do.
const TABLE: [(u8, &str, Form); 32] = [
    (code::SUBNET_MASK, "Subnet Mask", Form::Ips),
    (code::ROUTER, "Router", Form::Ips),
    (code::DOMAIN_SERVER, "Domain Server", Form::Ips),
    (code::HOSTNAME, "Hostname", Form::Text),
    (code::DOMAIN_NAME, "Domain Name", Form::Text),
    (17, "Root Path", Form::Text),
    (code::INTERFACE_MTU, "MTU Interface", Form::Number),
    (code::BROADCAST_ADDRESS, "Broadcast Address", Form::Ips),
    (code::NTP_SERVERS, "NTP Servers", Form::Ips),
    (code::VENDOR_SPECIFIC, "Vendor Specific", Form::Encapsulated),
    (code::LEASE_TIME, "Address Time", Form::Seconds),
    (code::OVERLOAD, "Overload", Form::Number),
    (code::MESSAGE_TYPE, "DHCP Msg Type", Form::MessageType),
    (code::SERVER_ID, "DHCP Server Id", Form::Ips),
    (code::MESSAGE, "DHCP Message", Form::Text),
    (code::RENEWAL_TIME, "Renewal Time", Form::Seconds),
    (code::REBINDING_TIME, "Rebinding Time", Form::Seconds),
    (code::VENDOR_CLASS, "Class Id", Form::Text),
    (code::TFTP_SERVER_NAME, "Server-Name", Form::Text),
    (code::BOOT_FILE_NAME, "Bootfile-Name", Form::Text),
    (code::RAPID_COMMIT, "Rapid Commit", Form::Flag),
    (code::RELAY_AGENT, "Relay Agent", Form::Encapsulated),
    (100, "PCode", Form::Text),
    (101, "TCode", Form::Text),
    (114, "Captive-Portal", Form::Text),
    (code::DOMAIN_SEARCH, "Domain Search", Form::Domains),
    (code::CLASSLESS_ROUTES, "Classless Route", Form::Routes),
    (150, "TFTP Server", Form::Ips),
    (code::IPXE, "iPXE", Form::Encapsulated),
    (209, "Config File", Form::Text),
    (210, "Path Prefix", Form::Text),
    (252, "WPAD", Form::Text),
];

/// The option by its name. What has not the form that its code asks for is shown as bytes.
pub(crate) fn shown(code: u8, data: &[u8]) -> PreviewOption {
    let row = TABLE.iter().find(|row| row.0 == code);
    let value =
        row.and_then(|row| formed(row.2, data)).unwrap_or_else(|| text(data).unwrap_or_else(|| hex(data)));
    PreviewOption { code, name: row.map_or("", |row| row.1).to_owned(), value }
}

fn formed(form: Form, data: &[u8]) -> Option<String> {
    match form {
        Form::Ips => {
            let ips = data.len().is_multiple_of(4).then(|| data.chunks_exact(4))?;
            Some(joined(ips.map(|ip| Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]).to_string()), " "))
        }
        Form::Text => text(data),
        Form::Seconds => Some(format!("{} s", u32::from_be_bytes(data.try_into().ok()?))),
        Form::Number => match data {
            [number] => Some(number.to_string()),
            [high, low] => Some(u16::from_be_bytes([*high, *low]).to_string()),
            _ => None,
        },
        Form::Domains => domains(data),
        Form::Routes => routes(data),
        Form::Encapsulated => encapsulated(data),
        Form::MessageType => match data {
            [2] => Some("OFFER".to_owned()),
            [5] => Some("ACK".to_owned()),
            [6] => Some("NAK".to_owned()),
            _ => None,
        },
        Form::Flag => data.is_empty().then(String::new),
    }
}

fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    parts.collect::<Vec<_>>().join(between)
}

/// Text, where all of it can be printed.
fn text(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn hex(data: &[u8]) -> String {
    data.iter().fold(String::new(), |mut text, byte| {
        let blank = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{blank}{byte:02x}");
        text
    })
}

/// Codes with their bytes, up to the end mark.
fn encapsulated(mut data: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while let [code, length, rest @ ..] = data {
        if *code == 255 {
            break;
        }
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        parts.push(format!("{code} = {}", text(value).unwrap_or_else(|| hex(value))));
        data = rest;
    }
    Some(parts.join(", "))
}

/// RFC 3397: labels with pointers to where they stood before.
fn domains(data: &[u8]) -> Option<String> {
    let (mut names, mut at) = (Vec::new(), 0);
    while at < data.len() {
        let (mut labels, mut from, mut after) = (Vec::new(), at, None);
        loop {
            match *data.get(from)? {
                0 => break,
                high if high >= 0xc0 => {
                    let to = usize::from(u16::from_be_bytes([high & 0x3f, *data.get(from + 1)?]));
                    after = after.or(Some(from + 2));
                    // Only backwards, so that it ends.
                    from = (to < from).then_some(to)?;
                    continue;
                }
                length => {
                    let label = data.get(from + 1..from + 1 + usize::from(length))?;
                    labels.push(text(label)?);
                    from += 1 + usize::from(length);
                }
            }
        }
        at = after.unwrap_or(from + 1);
        names.push(labels.join("."));
    }
    Some(names.join(" "))
}

/// RFC 3442: the width, as many bytes of the destination as that needs, the router.
fn routes(mut data: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while let [width, rest @ ..] = data {
        let (to, rest) = rest.split_at_checked(usize::from(*width).div_ceil(8)).filter(|_| *width <= 32)?;
        let (via, rest) = rest.split_at_checked(4)?;
        let mut octets = [0; 4];
        octets[..to.len()].copy_from_slice(to);
        let via = Ipv4Addr::new(via[0], via[1], via[2], via[3]);
        parts.push(format!("{}/{width} via {via}", Ipv4Addr::from(octets)));
        data = rest;
    }
    Some(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use bootcode_core::document::{domain_list, route_list};

    use super::*;

    #[test]
    fn options_are_shown_as_what_they_are_and_broken_ones_as_bytes() {
        let routes =
            route_list([("10.0.0.0/8", "192.168.99.254"), ("0.0.0.0/0", "192.168.99.1")].map(|(to, via)| {
                bootcode_core::document::Route { to: to.parse().unwrap(), via: via.parse().unwrap() }
            }));
        let domains = domain_list(&["lab.example", "net.lab.example", "other.test"]);
        let looping = [1, b'a', 0xc0, 2];
        for (code, data, value) in [
            (1, &[255, 255, 255, 0][..], "255.255.255.0"),
            (6, &[9, 9, 9, 9, 1, 1, 1, 1], "9.9.9.9 1.1.1.1"),
            (6, &[9, 9, 9], "09 09 09"),
            (26, &[0x23, 0x28], "9000"),
            (51, &[0, 1, 0x51, 0x80], "86400 s"),
            (43, b"\x06\x01\x08\xff", "6 = 08"),
            (43, b"\x06\x09\x08", "06 09 08"),
            (53, &[2], "OFFER"),
            (53, &[9], "09"),
            (67, b"snponly.efi", "snponly.efi"),
            (80, b"", ""),
            (119, &domains, "lab.example net.lab.example other.test"),
            (119, &looping, "01 61 c0 02"),
            (121, &routes, "10.0.0.0/8 via 192.168.99.254, 0.0.0.0/0 via 192.168.99.1"),
            (121, &[40, 1], "28 01"),
            (224, b"text", "text"),
            (224, &[0, 1], "00 01"),
        ] {
            assert_eq!(shown(code, data).value, value, "{code} {data:?}");
        }
    }
}
