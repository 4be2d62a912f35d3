//! Builds a reply, option by option, in the order of their worth to the client.

use std::net::Ipv4Addr;

use bootcode_core::document::{DhcpOption, Hardware, Network, Route, domain_list, route_list};
use ipnet::Ipv4Net;

use crate::{
    boot::{Boot, Onward},
    destination::destination,
    query::Query,
    responder::{Response, Sending},
    wire::{BROADCAST, Reply, ReplyOption, ReplyType, code},
};

/// PXE_DISCOVERY_CONTROL = 8, then the end (PXE 2.1, table 2-1): use the boot file that was sent and ask no boot server. Option 60 without
/// it sends EDK2 to port 4011.
const PXE_USE_BOOT_FILE: [u8; 4] = [6, 1, 8, 255];
/// No discovery (bits 0 and 1), one menu entry of type 0 (local boot) and a prompt that waits 0 s.
const PXE_LOCAL_BOOT: &[u8] = b"\x06\x01\x03\x09\x0d\0\0\x0aLocal disk\x0a\x0b\0Local disk\xff";
/// A Raspberry Pi looks for a menu whose first entry has this very name; tags 9 and 10, in the form of `PXE_LOCAL_BOOT`.
const PXE_RASPBERRY_PI: &[u8] = b"\x06\x01\x03\x0a\x04\0PXE\x09\x14\0\0\x11Raspberry Pi Boot\xff";
/// The 802.1Q tag of the network that boots.
const PXE_VLAN: u8 = 116;
/// iPXE's `no-pxedhcp` = 1: no proxy will come, so it does not wait 3 s for one.
const IPXE_NO_PXEDHCP: [u8; 3] = [176, 1, 1];
/// What a client gets that did not say what it wants.
const DEFAULT_PARAMETERS: [u8; 7] = [
    code::ROUTER,
    code::DOMAIN_SERVER,
    code::HOSTNAME,
    code::DOMAIN_NAME,
    code::BROADCAST_ADDRESS,
    code::NTP_SERVERS,
    code::DOMAIN_SEARCH,
];

/// A reply in the making.
pub(crate) struct Draft<'a> {
    query: &'a Query,
    server: Ipv4Addr,
    reply: Reply,
    boot: Boot,
    proxy: bool,
    wanted: Vec<ReplyOption>,
    vlan: Option<u16>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(query: &'a Query, server: Ipv4Addr, kind: ReplyType) -> Self {
        let nak_by_relay = kind == ReplyType::Nak && !query.giaddr.is_unspecified();
        let reply = Reply {
            kind,
            xid: query.xid,
            // RFC 2131 4.3.2: so that the relay broadcasts it to a client that may not have the address.
            flags: if nak_by_relay { query.flags | BROADCAST } else { query.flags },
            ciaddr: if kind == ReplyType::Ack { query.ciaddr } else { Ipv4Addr::UNSPECIFIED },
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: query.giaddr,
            chaddr: query.chaddr,
            file: None,
            options: Vec::with_capacity(20),
            relay_agent: query.relay_agent.clone(),
            max_bytes: query.max_bytes,
        };
        let mut draft =
            Self { query, server, reply, boot: Boot::NotAsked, proxy: false, wanted: Vec::new(), vlan: None };
        draft.put(code::SERVER_ID, &server.octets());
        draft
    }

    /// The address for `lease_s` seconds, and the network's settings.
    pub(crate) fn lease(
        mut self,
        ip: Ipv4Addr,
        lease_s: u64,
        hardware: Option<&Hardware>,
        network: &Network,
    ) -> Self {
        // Bounded by `limits::LEASE_MAX_S`, which fits 32 bits.
        let seconds = |s: u64| u32::try_from(s).unwrap_or(u32::MAX - 1).to_be_bytes();
        self.reply.yiaddr = ip;
        self.put(code::LEASE_TIME, &seconds(lease_s));
        let mut draft = self.settings(hardware, network);
        // RFC 2131 4.4.5 has the same times as defaults; they are for those that ask.
        for (code, time_s) in [(code::RENEWAL_TIME, lease_s / 2), (code::REBINDING_TIME, lease_s / 8 * 7)] {
            if draft.query.parameters.is_some() && draft.query.wants(code) {
                draft.wanted.push(ReplyOption { code, data: seconds(time_s).to_vec() });
            }
        }
        draft
    }

    /// The settings of network and machine, as the client asked for them and in its order.
    pub(crate) fn settings(mut self, hardware: Option<&Hardware>, network: &Network) -> Self {
        // Before the routers (RFC 2132 3.3), and asked for or not: without it firmware guesses a class.
        self.put(code::SUBNET_MASK, &network.spec.cidr.netmask().octets());
        let declared = Declared::of(self.query, hardware, network);
        let codes = self.query.parameters.as_deref().unwrap_or(&DEFAULT_PARAMETERS);
        for &code in codes {
            self.want(code, || {
                declared.find(code).map(DhcpOption::bytes).or_else(|| setting(code, hardware, network))
            });
        }
        // Who says nothing of what it wants gets all that was declared.
        let silent = self.query.parameters.is_none();
        for option in declared.all().filter(|option| option.always || silent) {
            self.want(option.code, || declared.find(option.code).map(DhcpOption::bytes));
        }
        self.vlan = network.spec.dhcp.vlan;
        self
    }

    /// Once, and where there is something to say.
    fn want(&mut self, code: u8, data: impl FnOnce() -> Option<Vec<u8>>) {
        if self.wanted.iter().any(|option| option.code == code) {
            return;
        }
        if let Some(data) = data().filter(|data| !data.is_empty()) {
            self.wanted.push(ReplyOption { code, data });
        }
    }

    /// Beside another server: what makes a client take this for a proxy's.
    pub(crate) fn proxy(mut self, network: &Network) -> Self {
        self.proxy = true;
        self.vlan = network.spec.dhcp.vlan;
        self
    }

    /// What to load.
    pub(crate) fn boot(mut self, boot: Boot) -> Self {
        let client = &self.query.client;
        let ipxe = client.ipxe;
        if let Some(file) = boot.file() {
            self.reply.siaddr = self.server;
            self.reply.file = Some(file.to_owned());
        }
        match &boot {
            Boot::Http { .. }
            | Boot::Local(Onward::NoSuchFile { .. })
            | Boot::Refused(_, Onward::NoSuchFile { .. }) => {
                self.put(code::VENDOR_CLASS, b"HTTPClient");
            }
            Boot::RaspberryPi { .. } => {
                self.put(code::VENDOR_CLASS, b"PXEClient");
                self.vendor(PXE_RASPBERRY_PI);
            }
            Boot::Local(Onward::LocalBoot) | Boot::Refused(_, Onward::LocalBoot) => {
                self.put(code::VENDOR_CLASS, b"PXEClient");
                self.vendor(PXE_LOCAL_BOOT);
            }
            // iPXE takes PXEClient for a proxy's word and then looks for a boot menu: only a proxy says it.
            Boot::Tftp { .. } | Boot::Script { .. } if self.proxy || !ipxe => {
                self.put(code::VENDOR_CLASS, b"PXEClient");
                self.vendor(&PXE_USE_BOOT_FILE);
            }
            // Without option 60 it is no proxy's word, and iPXE's scripts read the tag all the same.
            Boot::Script { .. } if self.vlan.is_some() => self.vendor(&[]),
            _ => (),
        }
        if boot != Boot::NotAsked
            && let Some(id) = client.machine_id.as_ref()
        {
            self.put(code::CLIENT_MACHINE_ID, id.raw());
        }
        if ipxe && !self.proxy {
            self.put(code::IPXE, &IPXE_NO_PXEDHCP);
        }
        let header_holds_it = self.reply.file_in_header().is_some();
        if let Some(file) = self.reply.file.clone() {
            if matches!(boot, Boot::Tftp { .. } | Boot::RaspberryPi { .. })
                && self.query.wants(code::TFTP_SERVER_NAME)
            {
                self.put(code::TFTP_SERVER_NAME, self.server.to_string().as_bytes());
            }
            if !header_holds_it || self.query.wants(code::BOOT_FILE_NAME) {
                self.put(code::BOOT_FILE_NAME, file.as_bytes());
            }
        }
        self.boot = boot;
        self
    }

    /// The ACK that answers a DISCOVER at once says so (RFC 4039 3.1).
    pub(crate) fn rapid_commit(mut self) -> Self {
        self.put(code::RAPID_COMMIT, &[]);
        self
    }

    /// Why not, for whoever reads a capture (option 56).
    pub(crate) fn because(mut self, message: &str) -> Self {
        self.put(code::MESSAGE, message.as_bytes());
        self
    }

    pub(crate) fn send(mut self) -> Response {
        if let Some(id) = &self.query.client_id {
            self.reply.options.push(ReplyOption { code: code::CLIENT_ID, data: id.clone() });
        }
        self.reply.options.append(&mut self.wanted);
        let to = destination(self.query, self.reply.kind, self.reply.yiaddr);
        Response::Send(Box::new(Sending { reply: self.reply, server: self.server, to, boot: self.boot }))
    }

    /// Option 43 of a boot, which goes before one that a document gives: without it EDK2 wanders to port 4011.
    fn vendor(&mut self, options: &[u8]) {
        self.wanted.retain(|option| option.code != code::VENDOR_SPECIFIC);
        let data = with_vlan(options, self.vlan);
        self.put(code::VENDOR_SPECIFIC, &data);
    }

    fn put(&mut self, code: u8, data: &[u8]) {
        self.reply.options.push(ReplyOption { code, data: data.to_vec() });
    }
}

/// The options that documents give by number: the interface's before the machine's before the network's.
struct Declared<'a>([&'a [DhcpOption]; 3]);

impl<'a> Declared<'a> {
    fn of(query: &Query, hardware: Option<&'a Hardware>, network: &'a Network) -> Self {
        let interface = hardware
            .and_then(|hardware| hardware.interface(query.mac))
            .map_or(&[][..], |interface| &interface.dhcp_options);
        let machine = hardware.map_or(&[][..], |hardware| &hardware.spec.dhcp_options);
        Self([interface, machine, &network.spec.dhcp.options])
    }

    fn all(&self) -> impl Iterator<Item = &'a DhcpOption> {
        self.0.into_iter().flatten()
    }

    fn find(&self, code: u8) -> Option<&'a DhcpOption> {
        self.all().find(|option| option.code == code)
    }
}

/// The bytes of one option that follows from other fields of a Network or a Hardware.
fn setting(code: u8, hardware: Option<&Hardware>, network: &Network) -> Option<Vec<u8>> {
    let spec = &network.spec;
    let addresses = |list: &[Ipv4Addr]| list.iter().flat_map(Ipv4Addr::octets).collect::<Vec<u8>>();
    match code {
        code::ROUTER => spec.gateway.map(|gateway| gateway.octets().to_vec()),
        code::DOMAIN_SERVER => Some(addresses(&spec.dns.servers)),
        code::HOSTNAME => hardware.map(|hardware| hardware.hostname().as_bytes().to_vec()),
        code::DOMAIN_NAME => spec.dns.search.first().map(|domain| domain.as_bytes().to_vec()),
        code::INTERFACE_MTU => spec.mtu.map(|mtu| mtu.to_be_bytes().to_vec()),
        code::BROADCAST_ADDRESS => Some(spec.cidr.broadcast().octets().to_vec()),
        code::NTP_SERVERS => Some(addresses(&spec.ntp)),
        code::DOMAIN_SEARCH => Some(domain_list(&spec.dns.search)),
        code::CLASSLESS_ROUTES if !spec.routes.is_empty() => {
            // Who reads these passes option 3 over, so the default route stands among them (RFC 3442, "DHCP Client Behavior").
            let default = spec.gateway.map(|via| Route { to: Ipv4Net::default(), via });
            Some(route_list(spec.routes.iter().copied().chain(default)))
        }
        _ => None,
    }
}

/// What option 43 says besides: the tag that a boot loader shall use, as text, which is how iPXE scripts read it.
fn with_vlan(options: &[u8], vlan: Option<u16>) -> Vec<u8> {
    let mut data = options.strip_suffix(&[255]).unwrap_or(options).to_vec();
    if let Some(vlan) = vlan {
        let text = vlan.to_string();
        // At most four digits.
        data.extend_from_slice(&[PXE_VLAN, text.len() as u8]);
        data.extend_from_slice(text.as_bytes());
    }
    data.push(255);
    data
}
