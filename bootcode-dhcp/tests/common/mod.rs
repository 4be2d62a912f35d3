//! Requests as real clients write them, one site to ask, and replies as text.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{fmt::Write as _, net::Ipv4Addr};

use bootcode_core::{
    boot::Site,
    clock::Timestamp,
    document::{Dhcp, DhcpMode, Dns, Hardware, HardwareSpec, Interface, Network, NetworkSpec},
    mac::MacAddr,
    policy::DefaultPolicy,
    source::Work,
    timeline::BootEventKind,
};
use bootcode_dhcp::{
    Facts, Packet, Response, RxMeta, Sending, ServerPort, Standing, Verdict, classify, code, events, respond,
};

pub const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 1);
pub const NODE: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 11);
pub const XID: u32 = 0x0bad_cafe;

/// A request, written field by field.
#[derive(Clone)]
pub struct Ask {
    bytes: Vec<u8>,
    pub rx: RxMeta,
}

impl Ask {
    pub fn new(kind: u8) -> Self {
        let mut bytes = vec![0; 240];
        bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&XID.to_be_bytes());
        bytes[28..34].copy_from_slice(&MAC.0);
        bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        let rx = RxMeta { source: "0.0.0.0:68".parse().unwrap(), port: ServerPort::Dhcp, to: None };
        Self { bytes, rx }.option(code::MESSAGE_TYPE, &[kind])
    }

    /// A DISCOVER that forgot to say so.
    pub fn without_type() -> Self {
        let mut ask = Self::new(1);
        ask.bytes.truncate(240);
        ask
    }

    /// From this address and port instead of 0.0.0.0:68.
    pub fn from(mut self, source: &str) -> Self {
        self.rx.source = source.parse().unwrap();
        self
    }

    pub fn option(mut self, code: u8, data: &[u8]) -> Self {
        if data.is_empty() {
            self.bytes.extend_from_slice(&[code, 0]);
        }
        for part in data.chunks(255) {
            self.bytes.extend_from_slice(&[code, part.len() as u8]);
            self.bytes.extend_from_slice(part);
        }
        self
    }

    pub fn at(mut self, offset: usize, data: &[u8]) -> Self {
        self.bytes[offset..offset + data.len()].copy_from_slice(data);
        self
    }

    pub fn broadcast(self) -> Self {
        self.at(10, &[0x80, 0])
    }

    pub fn ciaddr(self, ip: Ipv4Addr) -> Self {
        self.at(12, &ip.octets())
    }

    pub fn giaddr(self, ip: Ipv4Addr) -> Self {
        self.at(24, &ip.octets())
    }

    /// The REQUEST that answers an offer.
    pub fn selecting(self, server: Ipv4Addr, ip: Ipv4Addr) -> Self {
        self.option(code::SERVER_ID, &server.octets()).option(code::REQUESTED_IP, &ip.octets())
    }

    pub fn via_4011(mut self, source: &str) -> Self {
        self.rx = RxMeta { source: source.parse().unwrap(), port: ServerPort::Proxy, to: None };
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.push(255);
        bytes
    }

    /// QEMU's option ROM: an iPXE that speaks HTTP, started by SeaBIOS.
    pub fn ipxe_rom(self) -> Self {
        self.ipxe(0, b"PXEClient:Arch:00000:UNDI:002001")
    }

    /// `snponly.efi`, loaded by EDK2.
    pub fn ipxe_snponly(self) -> Self {
        self.ipxe(7, b"PXEClient:Arch:00007:UNDI:003010")
    }

    fn ipxe(self, arch: u8, class: &[u8]) -> Self {
        self.option(code::MAX_MESSAGE_SIZE, &[5, 192])
            .option(code::CLIENT_ARCH, &[0, arch])
            .option(94, &[1, 2, 1])
            .option(code::VENDOR_CLASS, class)
            .option(code::USER_CLASS, b"iPXE")
            .option(
                code::PARAMETER_LIST,
                &[
                    1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 129, 130, 131, 132, 133, 134, 135,
                    175, 203,
                ],
            )
            .option(
                code::IPXE,
                &[
                    0xb1, 5, 1, 0x1a, 0xf4, 0x10, 0, 0xeb, 3, 1, 21, 1, 0x17, 1, 1, 0x15, 1, 1, 0x13, 1, 1,
                    0x12, 1, 1,
                ],
            )
            .option(code::CLIENT_ID, &[1, 0x52, 0x54, 0, 0, 0, 1])
            .option(code::CLIENT_MACHINE_ID, &machine_id())
    }

    /// EDK2's PXE client.
    pub fn edk2_pxe(self) -> Self {
        self.edk2(7, b"PXEClient:Arch:00007:UNDI:003016")
    }

    /// EDK2's HTTP boot client.
    pub fn edk2_http(self) -> Self {
        self.edk2(16, b"HTTPClient:Arch:00016:UNDI:003016")
    }

    fn edk2(self, arch: u8, class: &[u8]) -> Self {
        self.broadcast()
            .option(code::MAX_MESSAGE_SIZE, &[5, 192])
            .option(
                code::PARAMETER_LIST,
                &[
                    1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60,
                    66, 67, 97, 128, 129, 130, 131, 132, 133, 134, 135,
                ],
            )
            .option(code::CLIENT_MACHINE_ID, &machine_id())
            .option(94, &[1, 3, 16])
            .option(code::CLIENT_ARCH, &[0, arch])
            .option(code::VENDOR_CLASS, class)
    }

    /// A PXE ROM of a PC with BIOS.
    pub fn bios_pxe(self) -> Self {
        self.option(
            code::PARAMETER_LIST,
            &[1, 2, 3, 5, 6, 11, 12, 13, 15, 16, 17, 18, 43, 54, 60, 66, 67, 128, 135],
        )
        .option(code::MAX_MESSAGE_SIZE, &[4, 236])
        .option(code::CLIENT_MACHINE_ID, &machine_id())
        .option(code::CLIENT_ARCH, &[0, 0])
        .option(94, &[1, 2, 1])
        .option(code::VENDOR_CLASS, b"PXEClient:Arch:00000:UNDI:002001")
    }

    pub fn dhclient(self) -> Self {
        self.option(code::HOSTNAME, b"debian")
            .option(code::PARAMETER_LIST, &[1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42])
    }

    pub fn udhcpc(self) -> Self {
        self.option(code::CLIENT_ID, &[1, 0x52, 0x54, 0, 0, 0, 1])
            .option(code::MAX_MESSAGE_SIZE, &[2, 64])
            .option(code::PARAMETER_LIST, &[1, 3, 6, 12, 15, 28, 42])
            .option(code::VENDOR_CLASS, b"udhcp 1.35.0")
    }

    pub fn networkd(self) -> Self {
        let mut duid = vec![255, 0x93, 0x53, 0x1c, 0x6d, 0, 2, 0, 0, 0xab, 0x11];
        duid.extend_from_slice(&[0xd1; 8]);
        self.option(code::CLIENT_ID, &duid)
            .option(code::PARAMETER_LIST, &[1, 3, 6, 12, 15, 26, 33, 42, 51, 54, 58, 59, 119, 121])
            .option(code::MAX_MESSAGE_SIZE, &[5, 192])
            .option(code::HOSTNAME, b"node-1")
    }
}

fn machine_id() -> Vec<u8> {
    let mut id = vec![0];
    id.extend_from_slice(&[0x11; 16]);
    id
}

/// What is declared and what there is to do.
#[derive(Clone)]
pub struct World {
    pub network: Option<Network>,
    pub hardware: Option<Hardware>,
    pub work: Work,
    pub site: Site,
    pub lease: Option<Standing>,
}

impl World {
    pub fn new(mode: DhcpMode) -> Self {
        let interface = Interface {
            network: Some("lab".into()),
            ip: Some(NODE),
            netboot: true,
            ..Interface::new("nic0", MAC)
        };
        let spec = NetworkSpec {
            gateway: Some(SERVER),
            dns: Dns { servers: vec![SERVER, Ipv4Addr::new(9, 9, 9, 9)], search: vec!["lab.example".into()] },
            ntp: vec![SERVER],
            dhcp: Dhcp { mode, ..Default::default() },
            ..NetworkSpec::new("192.168.99.0/24".parse().unwrap())
        };
        Self {
            network: Some(Network { name: "lab".into(), spec }),
            hardware: Some(Hardware {
                name: "node-1".into(),
                labels: Default::default(),
                spec: HardwareSpec { interfaces: vec![interface], ..Default::default() },
            }),
            work: Work::Provision { workflow: "install-node-1".into() },
            site: site(),
            lease: None,
        }
    }

    pub fn idle(mut self) -> Self {
        self.work = Work::Idle;
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The whole way from bytes to a verdict.
    pub fn ask(&self, ask: &Ask) -> (Verdict<Response>, Vec<BootEventKind>) {
        let bytes = ask.bytes();
        let packet = Packet::decode(&bytes).expect("a well-formed request");
        let query = match classify(&packet, &ask.rx) {
            Verdict::Answer(query) => query,
            Verdict::Ignore(reason) => return (Verdict::Ignore(reason), Vec::new()),
        };
        let facts = self.facts();
        let verdict = respond(&query, &facts, &DefaultPolicy, &self.site, Timestamp::UNIX_EPOCH);
        let events = events(&query, &facts, &verdict);
        (verdict, events)
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            hardware: self.hardware.as_ref(),
            network: self.network.as_ref(),
            work: &self.work,
            lease: self.lease,
        }
    }

    pub fn text(&self, ask: &Ask) -> String {
        let (verdict, events) = self.ask(ask);
        let mut text = match verdict {
            Verdict::Ignore(reason) => format!("ignored: {reason:?}\n"),
            Verdict::Answer(response) => response_text(&response),
        };
        for event in events {
            writeln!(text, "event {event:?}").unwrap();
        }
        text
    }
}

pub fn site() -> Site {
    Site { addresses: vec![SERVER], http_port: 7080, disk_loader: false }
}

fn response_text(response: &Response) -> String {
    match response {
        Response::Noted(notice) => format!("noted: {notice:?}\n"),
        Response::Send(sending) => sending_text(sending),
        Response::Probe { ip } => format!("asks the wire who has {ip}\n"),
        Response::Commit(commit) => {
            let mut text = format!("writes {:?}\nthen {}", commit.change, response_text(&commit.then));
            match &commit.otherwise {
                Some(other) => text.push_str(&format!("without the store {}", response_text(other))),
                None => text.push_str("without the store: silence\n"),
            }
            text
        }
    }
}

/// A reply, read back from its bytes.
fn sending_text(sending: &Sending) -> String {
    let encoded = sending.reply.encode();
    let bytes = &encoded.bytes;
    let packet = Packet::decode(bytes).expect("our own reply is well-formed");
    let end = |area: &[u8]| area.iter().position(|byte| *byte == 0).unwrap_or(area.len());
    let file = &bytes[108..236];
    let mut text = String::new();
    writeln!(text, "to {:?}, {} bytes", sending.to, bytes.len()).unwrap();
    writeln!(
        text,
        "op {} xid {:08x} flags {:04x} ciaddr {} yiaddr {} siaddr {} giaddr {} chaddr {}",
        packet.op,
        packet.xid,
        packet.flags,
        packet.ciaddr,
        packet.yiaddr,
        packet.siaddr,
        packet.giaddr,
        hex(&packet.chaddr[..6])
    )
    .unwrap();
    writeln!(text, "file {:?}", String::from_utf8_lossy(&file[..end(file)])).unwrap();
    for (code, data) in packet.options() {
        writeln!(text, "{code:>4} {}", option_text(code, data)).unwrap();
    }
    if !encoded.left_out.is_empty() {
        writeln!(text, "left out {:?}", encoded.left_out).unwrap();
    }
    text
}

fn option_text(code: u8, data: &[u8]) -> String {
    match code {
        1 | 3 | 6 | 28 | 42 | 54 if data.len().is_multiple_of(4) => data
            .chunks_exact(4)
            .map(|ip| Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]).to_string())
            .collect::<Vec<_>>()
            .join(" "),
        51 | 58 | 59 => format!("{} s", u32::from_be_bytes(data.try_into().unwrap())),
        53 => ["?", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK"][usize::from(data[0])].to_owned(),
        12 | 15 | 56 | 60 | 66 | 67 => format!("{:?}", String::from_utf8_lossy(data)),
        _ => hex(data),
    }
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
