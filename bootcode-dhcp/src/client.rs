//! What a client says about itself: options 60, 77, 93, 97 and 175.

use bootcode_core::{arch::ClientArch, boot::Stage};

use crate::{
    limits,
    wire::{Packet, code},
};

/// Option 60 (RFC 2132 9.13), as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorClass(String);

impl VendorClass {
    /// Its text, printable and bounded.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether a PXE client says it (PXE 2.1, 2.2.3).
    #[must_use]
    pub fn is_pxe(&self) -> bool {
        self.0.starts_with("PXEClient")
    }

    /// Whether a UEFI HTTP boot client says it (UEFI 24.7.3).
    #[must_use]
    pub fn is_http(&self) -> bool {
        self.0.starts_with("HTTPClient")
    }

    /// The architecture in `PXEClient:Arch:00007:UNDI:003016`, which ROMs without option 93 still send.
    fn arch(&self) -> Option<ClientArch> {
        let rest = self.0.split_once(":Arch:")?.1;
        rest.get(..5)?.parse().ok().map(ClientArch)
    }
}

/// Option 77: one name or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserClass(Vec<String>);

impl UserClass {
    /// Reads both spellings: instances with a length before each (RFC 3004 4), and the bare text that iPXE sends.
    fn read(data: &[u8]) -> Self {
        let mut rest = data;
        let mut classes = Vec::new();
        while let [length, tail @ ..] = rest {
            let Some((class, tail)) = tail.split_at_checked(usize::from(*length)).filter(|_| *length > 0)
            else {
                return Self(vec![text(data)]);
            };
            classes.push(text(class));
            rest = tail;
        }
        Self(classes)
    }

    /// The names, joined by commas, bounded.
    #[must_use]
    pub fn text(&self) -> String {
        bounded(self.0.join(",").chars())
    }

    /// Whether `name` is one of them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|class| class == name)
    }
}

/// Option 97 (RFC 4578 2.3). ROMs send it empty or of other lengths; then it identifies nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientMachineId(Vec<u8>);

impl ClientMachineId {
    /// The bytes as they came, echoed in replies (PXE 2.1, table 2-1).
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.0
    }

    /// The SMBIOS UUID as sent: 16 bytes after type 0.
    #[must_use]
    pub fn uuid(&self) -> Option<[u8; 16]> {
        match self.0.split_first() {
            Some((0, uuid)) => uuid.try_into().ok(),
            _ => None,
        }
    }
}

/// Sub-option of 175 by which an iPXE says that it speaks HTTP.
const IPXE_FEATURE_HTTP: u8 = 0x13;

/// The program that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootClient {
    /// Option 93, all of it; where it is missing, what option 60 says.
    pub archs: Vec<ClientArch>,
    /// Option 60.
    pub vendor_class: Option<VendorClass>,
    /// Option 77.
    pub user_class: Option<UserClass>,
    /// Option 97.
    pub machine_id: Option<ClientMachineId>,
    /// Whether it is an iPXE, of whatever build.
    pub ipxe: bool,
    /// Whether it is an iPXE that speaks HTTP.
    pub ipxe_http: bool,
    /// Whether it is a Raspberry Pi's own loader.
    pub raspberry_pi: bool,
}

/// Addresses that Raspberry Pis have.
const RASPBERRY_PI_OUIS: [[u8; 3]; 6] = [
    [0xb8, 0x27, 0xeb],
    [0xdc, 0xa6, 0x32],
    [0xe4, 0x5f, 0x01],
    [0x28, 0xcd, 0xc1],
    [0xd8, 0x3a, 0xdd],
    [0x2c, 0xcf, 0x67],
];
/// Option 97 of their EEPROMs: type 0, then this where a UUID begins.
const RASPBERRY_PI_IDS: [&[u8]; 4] = [b"\0RPi3", b"\0RPi4", b"\0RPi5", b"\0DDDD"];

impl BootClient {
    pub(crate) fn read(packet: &Packet<'_>) -> Self {
        let vendor_class = packet.option(code::VENDOR_CLASS).map(|data| VendorClass(text(data)));
        let user_class = packet.option(code::USER_CLASS).map(UserClass::read);
        let mut archs: Vec<_> = packet
            .option(code::CLIENT_ARCH)
            .unwrap_or_default()
            .chunks_exact(2)
            .take(limits::CLIENT_ARCHS)
            .map(|pair| ClientArch(u16::from_be_bytes([pair[0], pair[1]])))
            .collect();
        if archs.is_empty() {
            archs.extend(vendor_class.as_ref().and_then(VendorClass::arch));
        }
        // Its loader says 0, x86 BIOS; a UEFI that it loaded says 11, and an iPXE is known by its class.
        let oui = RASPBERRY_PI_OUIS.iter().any(|oui| packet.chaddr.starts_with(oui));
        let id = packet.option(code::CLIENT_MACHINE_ID).unwrap_or_default();
        let loader = oui || RASPBERRY_PI_IDS.iter().any(|prefix| id.starts_with(prefix));
        if loader && matches!(archs[..], [] | [ClientArch::X86_BIOS]) {
            archs = vec![ClientArch::RASPBERRY_PI];
        }
        let raspberry_pi = archs.first() == Some(&ClientArch::RASPBERRY_PI);
        let features = packet.option(code::IPXE);
        let ipxe = features.is_some() || user_class.as_ref().is_some_and(|class| class.has("iPXE"));
        Self {
            archs,
            vendor_class,
            user_class,
            machine_id: packet
                .option(code::CLIENT_MACHINE_ID)
                .filter(|data| !data.is_empty())
                .map(|data| ClientMachineId(data.to_vec())),
            ipxe,
            // Without a list of features it is believed: every iPXE since 2010 sends one.
            ipxe_http: ipxe && features.is_none_or(|data| has_feature(data, IPXE_FEATURE_HTTP)),
            raspberry_pi,
        }
    }

    /// Which stage of a boot asks; `None` where it is no boot client but, say, an operating system.
    ///
    /// An iPXE without HTTP cannot take our script: it is treated as the firmware that it sits in, and loads ours.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        if self.ipxe_http {
            return Some(Stage::Ipxe);
        }
        match &self.vendor_class {
            Some(class) if class.is_http() => Some(Stage::HttpBoot),
            Some(class) if class.is_pxe() && self.raspberry_pi && !self.ipxe => Some(Stage::RaspberryPi),
            Some(class) if class.is_pxe() => Some(Stage::Firmware),
            _ if self.ipxe => Some(Stage::Firmware),
            _ => None,
        }
    }

    /// The architecture that counts: of a list the first for which there is a boot file, whatever documents say.
    #[must_use]
    pub fn arch(&self) -> Option<ClientArch> {
        let known =
            self.archs.iter().find(|arch| arch.platform().is_some_and(|platform| platform.nbp().is_some()));
        known.or_else(|| self.archs.first()).copied()
    }
}

/// Whether an encapsulated option says that it has `feature`: present and not 0.
fn has_feature(mut data: &[u8], feature: u8) -> bool {
    while let [code, length, tail @ ..] = data {
        let Some((value, rest)) = tail.split_at_checked(usize::from(*length)) else { return false };
        if *code == feature {
            return value.iter().any(|byte| *byte != 0);
        }
        data = rest;
    }
    false
}

/// Text from the wire: bounded, without trailing NULs, control characters replaced.
pub(crate) fn text(data: &[u8]) -> String {
    let end = data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let data = &data[..end.min(limits::CLASS_TEXT_BYTES)];
    bounded(String::from_utf8_lossy(data).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }))
}

/// What fits the bound in whole characters: a replaced byte takes three.
fn bounded(chars: impl Iterator<Item = char>) -> String {
    let mut text = String::new();
    for c in chars {
        if text.len() + c.len_utf8() > limits::CLASS_TEXT_BYTES {
            break;
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    type Options<'a> = &'a [(u8, &'a [u8])];

    fn client(options: Options<'_>) -> BootClient {
        let mut bytes = vec![0; 240];
        bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        for (code, data) in options {
            bytes.extend_from_slice(&[*code, data.len() as u8]);
            bytes.extend_from_slice(data);
        }
        BootClient::read(&Packet::decode(&bytes).unwrap())
    }

    #[test]
    fn each_stage_is_known_by_its_options() {
        let http: &[u8] = &[0xeb, 3, 1, 21, 1, 0x13, 1, 1];
        let no_http: &[u8] = &[0x15, 1, 1, 0x13, 1, 0];
        let cases: &[(Options<'_>, Option<Stage>)] = &[
            (&[(60, b"PXEClient:Arch:00000:UNDI:002001")], Some(Stage::Firmware)),
            (&[(60, b"HTTPClient:Arch:00016:UNDI:003001")], Some(Stage::HttpBoot)),
            (&[(60, b"PXEClient"), (77, b"iPXE")], Some(Stage::Ipxe)),
            (&[(60, b"PXEClient"), (77, b"\x04iPXE")], Some(Stage::Ipxe)),
            (&[(60, b"PXEClient"), (77, b"\x03abc\x04iPXE")], Some(Stage::Ipxe)),
            (&[(60, b"PXEClient"), (77, b"\x04iPXX")], Some(Stage::Firmware)),
            (&[(60, b"PXEClient"), (175, http)], Some(Stage::Ipxe)),
            (&[(60, b"PXEClient"), (77, b"iPXE"), (175, no_http)], Some(Stage::Firmware)),
            (&[(77, b"iPXE"), (175, &[0x13, 9, 1])], Some(Stage::Firmware)),
            (&[(60, b"udhcp 1.36.1")], None),
            (&[(60, b"")], None),
            (&[], None),
        ];
        for (options, stage) in cases {
            assert_eq!(client(options).stage(), *stage, "{options:?}");
        }
    }

    #[test]
    fn architectures_are_read_from_lists_odd_lengths_and_the_vendor_class() {
        let cases: &[(Options<'_>, Option<u16>)] = &[
            (&[(93, &[0, 7])], Some(7)),
            (&[(93, &[0, 99, 0, 7, 0, 0])], Some(7)),
            (&[(93, &[0, 6, 0, 7])], Some(7)),
            (&[(93, &[0, 99])], Some(99)),
            (&[(93, &[0, 7, 0])], Some(7)),
            (&[(93, &[7]), (60, b"PXEClient:Arch:00009:UNDI:003000")], Some(9)),
            (&[(60, b"PXEClient:Arch:0000")], None),
            (&[(60, b"PXEClient:Arch:\xc3\xa9\xc3\xa9\xc3\xa9")], None),
            (&[], None),
        ];
        for (options, arch) in cases {
            assert_eq!(client(options).arch(), arch.map(ClientArch), "{options:?}");
        }
    }

    #[test]
    fn a_machine_id_of_the_wrong_length_identifies_nobody() {
        assert_eq!(client(&[(97, &[])]).machine_id, None);
        assert_eq!(client(&[(97, &[0, 1])]).machine_id.unwrap().uuid(), None);
        assert_eq!(client(&[(97, &[1; 17])]).machine_id.unwrap().uuid(), None);
        let mut id = [5; 17];
        id[0] = 0;
        assert_eq!(client(&[(97, &id)]).machine_id.unwrap().uuid(), Some([5; 16]));
    }

    #[test]
    fn text_from_the_wire_is_bounded_also_where_bytes_are_replaced() {
        let cases: [(&[u8], usize); 4] =
            [(&[b'a'; 255], 128), (&[7; 255], 126), (&[0xff; 255], 126), (&[0xc3, 0xa9], 2)];
        for (data, bytes) in cases {
            assert_eq!(text(data).len(), bytes, "{data:?}");
        }
        assert_eq!(text(b"node-1\0\0"), "node-1");
        let classes = [1, 7].repeat(120);
        assert!(client(&[(77, &classes)]).user_class.unwrap().text().len() <= limits::CLASS_TEXT_BYTES);
    }
}
