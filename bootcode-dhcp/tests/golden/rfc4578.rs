//! Network boot: every architecture (RFC 4578 2.1, RFC 5970 3.3), what real ROMs get wrong, and what documents change.

use std::fmt::Write as _;

use bootcode_core::{
    arch::{ClientArch, Platform},
    document::{DhcpMode, Netboot},
};
use bootcode_dhcp::{Response, Verdict, code};

use crate::{
    DISCOVER, REQUEST,
    common::{Ask, NODE, SERVER, World},
};

/// A boot ROM of this architecture, by TFTP or HTTP as the registry says.
fn rom(arch: u16) -> Ask {
    let kind = if ClientArch(arch).is_http() { "HTTPClient" } else { "PXEClient" };
    Ask::new(DISCOVER)
        .option(code::VENDOR_CLASS, format!("{kind}:Arch:{arch:05}:UNDI:003016").as_bytes())
        .option(code::CLIENT_ARCH, &arch.to_be_bytes())
        .option(code::PARAMETER_LIST, &[43, 60, 66, 67])
}

fn world() -> World {
    World::new(DhcpMode::Authoritative)
}

/// One line: what is told to be loaded, or why nothing is.
fn line(world: &World, ask: &Ask) -> String {
    match world.ask(ask).0 {
        Verdict::Answer(Response::Send(sending)) => format!("{:?}", sending.boot),
        other => format!("{other:?}"),
    }
}

#[test]
fn every_row_of_the_architecture_table() {
    let mut text = String::new();
    let beyond = [42, 99, 0xffff].map(ClientArch);
    for arch in ClientArch::all().chain(beyond) {
        let name = arch.name().unwrap_or("not in the registry");
        writeln!(text, "{:>5} {name:<28} {}", arch.0, line(&world(), &rom(arch.0))).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_documents_name_is_loaded_instead() {
    let shim = Netboot { nbp: Some("shimx64.efi".into()), ..Default::default() };
    let machine = &world().with(|world| world.hardware.as_mut().unwrap().spec.netboot = shim.into());
    let by_http = &world().with(|world| {
        let netboot = &mut world.hardware.as_mut().unwrap().spec.netboot;
        netboot.http_uri = Some("https://boot.example/shimx64.efi".into());
    });
    let network = &world().with(|world| {
        let netboot = &mut world.network.as_mut().unwrap().spec.netboot;
        netboot.nbp.insert(Platform::Ia32Efi, "ipxe-i386.efi".into());
        netboot.nbp.insert(Platform::X64Efi, "secure/shimx64.efi".into());
        netboot.http_uri.insert(Platform::Arm64Efi, "http://boot.example/arm64.efi".into());
        netboot.script = Some("http://boot.example/network.ipxe".into());
    });
    let both = &network.clone().with(|world| {
        let netboot = &mut world.hardware.as_mut().unwrap().spec.netboot;
        netboot.nbp = Some("shimx64.efi".into());
        netboot.script_text = Some("#!ipxe\nshell\n".into());
    });
    let script = &world().with(|world| {
        let netboot = &mut world.hardware.as_mut().unwrap().spec.netboot;
        netboot.script = Some("http://boot.example/machine.ipxe".into());
    });
    let idle = &script.clone().idle();
    let always = &idle.clone().with(|world| world.hardware.as_mut().unwrap().spec.netboot.always = true);
    let mut text = String::new();
    for (name, world, ask) in [
        ("a machine's shim, UEFI", machine, rom(7)),
        ("a machine's shim, UEFI HTTP", machine, rom(16)),
        ("a machine's shim means nothing to BIOS", machine, rom(0)),
        ("a machine's URI, HTTP", by_http, rom(16)),
        ("a machine's URI means nothing to TFTP", by_http, rom(7)),
        ("a network's file for IA32", network, rom(6)),
        ("a network's file for x64", network, rom(7)),
        ("a network's file for x64, EBC", network, rom(9)),
        ("a network says nothing of BIOS", network, rom(0)),
        ("a network's URI for ARM64", network, rom(19)),
        ("a list whose first the network serves", network, {
            Ask::new(DISCOVER).option(60, b"PXEClient").option(93, &[0, 6, 0, 7])
        }),
        ("a list whose second the network serves", network, {
            Ask::new(DISCOVER).option(60, b"PXEClient").option(93, &[0, 99, 0, 6])
        }),
        ("a network's script", network, Ask::new(DISCOVER).ipxe_snponly()),
        ("the machine's file before the network's", both, rom(7)),
        ("the machine's script before the network's", both, Ask::new(DISCOVER).ipxe_snponly()),
        ("a machine's script", script, Ask::new(DISCOVER).ipxe_snponly()),
        ("a machine's script, nothing to do", idle, Ask::new(DISCOVER).ipxe_snponly()),
        ("a machine's script, always", always, Ask::new(DISCOVER).ipxe_snponly()),
        ("always is of firmware too", always, rom(7)),
    ] {
        writeln!(text, "{name:<42} {}", line(world, &ask)).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_real_roms_get_wrong() {
    let class = b"PXEClient:Arch:00007:UNDI:003016";
    let bare = || Ask::new(DISCOVER).option(60, class).option(55, &[43, 60, 66, 67]);
    let world = &world();
    assert_table!(&[
        ("option 97 of length 0 is not echoed", world, bare().option(93, &[0, 7]).option(97, &[])),
        ("option 97 of another length is", world, bare().option(93, &[0, 7]).option(97, &[0, 1, 2])),
        ("no option 93: the class has it", world, bare()),
        ("an odd option 93", world, bare().option(93, &[0, 7, 0])),
        ("no option 94", world, bare().option(93, &[0, 7])),
        ("a list of architectures", world, bare().option(93, &[0, 6, 0, 7])),
        ("a user class of RFC 3004", world, bare().option(93, &[0, 7]).option(77, b"\x04iPXE")),
        ("a bare user class", world, bare().option(93, &[0, 7]).option(77, b"iPXE")),
        ("a user class of another", world, bare().option(93, &[0, 7]).option(77, b"gPXE")),
    ]);
}

#[test]
fn a_raspberry_pi_is_known_though_it_says_bios() {
    let world = &world();
    let idle = &world.clone().idle();
    let class = b"PXEClient:Arch:00000:UNDI:002001";
    let pi = || {
        Ask::new(DISCOVER)
            .option(60, class)
            .option(93, &[0, 0])
            .option(94, &[1, 2, 1])
            .option(55, &[1, 3, 43, 60, 66, 67])
    };
    let mut id = *b"\0RPi4............";
    id[5..].fill(7);
    let by_oui = world.clone().with(|world| {
        world.hardware.as_mut().unwrap().spec.interfaces[0].mac = "dc:a6:32:00:00:01".parse().unwrap();
    });
    assert_table!(&[
        ("by its UUID", world, pi().option(97, &id)),
        ("by its address", &by_oui, pi().at(28, &[0xdc, 0xa6, 0x32, 0, 0, 1])),
        ("nothing to do: no menu, so it goes on", idle, pi().option(97, &id)),
        ("the UEFI that it loaded is an ARM64", world, rom(11).option(97, &id)),
        ("an iPXE on it gets its script", world, pi().option(97, &id).option(77, b"iPXE")),
    ]);
}

#[test]
fn option_43_and_the_tag_of_the_network() {
    let tagged = &world().with(|world| world.network.as_mut().unwrap().spec.dhcp.vlan = Some(120));
    let idle = &tagged.clone().idle();
    let proxy = &tagged.clone().with(|world| {
        world.network.as_mut().unwrap().spec.dhcp.mode = DhcpMode::Proxy;
    });
    assert_table!(&[
        ("firmware", tagged, rom(7)),
        ("firmware, beside another server", proxy, rom(7)),
        ("firmware that shall boot its disk", idle, rom(7)),
        ("iPXE", tagged, Ask::new(DISCOVER).ipxe_snponly()),
        ("iPXE, REQUEST", tagged, Ask::new(REQUEST).selecting(SERVER, NODE).ipxe_snponly()),
        ("an operating system", tagged, Ask::new(DISCOVER).udhcpc()),
    ]);
}
