//! The bytes that a client sends, as programs in the field write them.

use std::net::{Ipv4Addr, SocketAddrV4};

use bootcode_core::{
    arch::{ClientArch, Firmware},
    preview::{Asked, PreviewAsk, Program},
};

use crate::{
    query::{RxMeta, ServerPort},
    wire::{BOOTREQUEST, BROADCAST, ETHERNET, MAGIC, code},
};

/// What EDK2's PXE and HTTP boot ask for.
const UEFI: &[u8] = &[
    1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97,
    128, 129, 130, 131, 132, 133, 134, 135,
];
/// What the ROM of a PC with BIOS asks for.
const BIOS: &[u8] = &[1, 2, 3, 5, 6, 11, 12, 13, 15, 16, 17, 18, 43, 54, 60, 66, 67, 128, 135];
/// What iPXE asks for.
const IPXE: &[u8] =
    &[1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 129, 130, 131, 132, 133, 134, 135, 175, 203];
/// What dhclient asks for.
const OS: &[u8] = &[1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42];
/// Features of an iPXE of today: HTTP (0x13), DNS, TFTP and more.
const IPXE_FEATURES: &[u8] = &[0xeb, 3, 1, 21, 1, 0x17, 1, 1, 0x15, 1, 1, 0x13, 1, 1, 0x12, 1, 1];
/// Option 94 of a UNDI 3.16 (RFC 4578 2.2).
const CLIENT_NDI: u8 = 94;
/// Option 57: what fits one Ethernet frame.
const FRAME_BYTES: u16 = 1472;

/// The bytes, and what the socket would know of them. `server` is whom a REQUEST that answers an offer names.
pub(crate) fn request(ask: &PreviewAsk, ip: Option<Ipv4Addr>, server: Ipv4Addr) -> (Vec<u8>, RxMeta) {
    let program = program(ask);
    let has_address = matches!(ask.message, Asked::Renew | Asked::BootServer);
    let ciaddr = ip.filter(|_| has_address).unwrap_or(Ipv4Addr::UNSPECIFIED);
    let giaddr = ask.relay.unwrap_or(Ipv4Addr::UNSPECIFIED);

    let mut bytes = vec![0; 240];
    bytes[..4].copy_from_slice(&[BOOTREQUEST, ETHERNET, 6, 0]);
    // EDK2 cannot take unicast before it has its address, and says so.
    if is_uefi(ask) && matches!(program, Program::Firmware | Program::Httpboot) && !has_address {
        bytes[10..12].copy_from_slice(&BROADCAST.to_be_bytes());
    }
    bytes[12..16].copy_from_slice(&ciaddr.octets());
    bytes[24..28].copy_from_slice(&giaddr.octets());
    bytes[28..34].copy_from_slice(&ask.mac.0);
    bytes[236..240].copy_from_slice(&MAGIC);

    let mut put = |code: u8, data: &[u8]| {
        // 255 at most: the caller bounds what people write.
        bytes.extend_from_slice(&[code, data.len() as u8]);
        bytes.extend_from_slice(data);
    };
    put(code::MESSAGE_TYPE, &[if ask.message == Asked::Discover { 1 } else { 3 }]);
    if ask.message == Asked::Request {
        put(code::SERVER_ID, &server.octets());
    }
    if let Some(ip) = ip.filter(|_| !has_address) {
        put(code::REQUESTED_IP, &ip.octets());
    }
    let vendor_class = ask.vendor_class.clone().or_else(|| vendor_class(ask, program));
    if let Some(class) = vendor_class.filter(|class| !class.is_empty()) {
        put(code::VENDOR_CLASS, class.as_bytes());
    }
    let own = (program == Program::Ipxe).then(|| "iPXE".to_owned());
    if let Some(class) = ask.user_class.clone().or(own).filter(|class| !class.is_empty()) {
        put(code::USER_CLASS, class.as_bytes());
    }
    if let Some(ClientArch(arch)) = ask.arch {
        put(code::CLIENT_ARCH, &arch.to_be_bytes());
        put(CLIENT_NDI, &[1, 3, 16]);
    }
    if program == Program::Ipxe {
        put(code::IPXE, IPXE_FEATURES);
    }
    if program != Program::Os {
        put(code::MAX_MESSAGE_SIZE, &FRAME_BYTES.to_be_bytes());
    }
    put(
        code::PARAMETER_LIST,
        match program {
            Program::Ipxe => IPXE,
            Program::Os => OS,
            _ if is_uefi(ask) => UEFI,
            _ => BIOS,
        },
    );
    if let Some(link) = ask.link.filter(|_| ask.relay.is_some()) {
        let [a, b, c, d] = link.octets();
        put(code::RELAY_AGENT, &[5, 4, a, b, c, d]);
    }
    bytes.push(255);
    (bytes, received(ask, ciaddr, giaddr))
}

fn received(ask: &PreviewAsk, ciaddr: Ipv4Addr, giaddr: Ipv4Addr) -> RxMeta {
    let source = match (ask.relay, ask.message) {
        (Some(_), _) => SocketAddrV4::new(giaddr, 67),
        (None, Asked::BootServer) => SocketAddrV4::new(ciaddr, 4011),
        (None, _) => SocketAddrV4::new(ciaddr, 68),
    };
    let port = if ask.message == Asked::BootServer { ServerPort::Proxy } else { ServerPort::Dhcp };
    RxMeta { source, port, to: None }
}

/// Which program sends this where that was not said.
fn program(ask: &PreviewAsk) -> Program {
    let vendor = ask.vendor_class.as_deref().unwrap_or_default();
    match ask.program {
        Program::Auto if ask.user_class.as_deref() == Some("iPXE") => Program::Ipxe,
        Program::Auto if vendor.starts_with("HTTPClient") => Program::Httpboot,
        Program::Auto if vendor.is_empty() && ask.arch.is_some_and(ClientArch::is_http) => Program::Httpboot,
        Program::Auto => Program::Firmware,
        program => program,
    }
}

fn is_uefi(ask: &PreviewAsk) -> bool {
    ask.arch.and_then(ClientArch::firmware) == Some(Firmware::Uefi)
}

fn vendor_class(ask: &PreviewAsk, program: Program) -> Option<String> {
    let arch = ask.arch.map_or(String::new(), |arch| format!(":Arch:{:05}", arch.0));
    let class = match program {
        Program::Os => return None,
        Program::Httpboot => "HTTPClient",
        _ => "PXEClient",
    };
    let undi = match program {
        Program::Ipxe => "003010",
        _ if is_uefi(ask) => "003016",
        _ => "002001",
    };
    Some(format!("{class}{arch}:UNDI:{undi}"))
}
