//! What each mode makes of each kind of client.

use bootcode_core::{
    arch::Firmware,
    document::{DhcpMode, LocalBoot, UnknownMachines},
};
use bootcode_dhcp::{Standing, code};

use crate::{
    DISCOVER, INFORM, OTHER, REQUEST,
    common::{Ask, NODE, SERVER, World},
};

#[test]
fn clients_that_shall_provision_under_authoritative() {
    let world = &World::new(DhcpMode::Authoritative);
    let discover = || Ask::new(DISCOVER);
    let request = || Ask::new(REQUEST).selecting(SERVER, NODE);
    assert_table!(&[
        ("QEMU iPXE ROM, DISCOVER", world, discover().ipxe_rom()),
        ("QEMU iPXE ROM, REQUEST", world, request().ipxe_rom()),
        ("BIOS PXE ROM, DISCOVER", world, discover().bios_pxe()),
        ("EDK2 PXE, DISCOVER", world, discover().edk2_pxe()),
        ("EDK2 PXE, REQUEST", world, request().edk2_pxe()),
        ("EDK2 HTTP boot, DISCOVER", world, discover().edk2_http()),
        ("EDK2 HTTP boot, REQUEST", world, request().edk2_http()),
        ("iPXE snponly.efi, DISCOVER", world, discover().ipxe_snponly()),
        ("iPXE snponly.efi, REQUEST", world, request().ipxe_snponly()),
        ("an iPXE without HTTP is sent our own", world, discover().bios_pxe().option(175, &[0x15, 1, 1])),
        ("udhcpc, DISCOVER", world, discover().udhcpc()),
        ("dhclient, DISCOVER", world, discover().dhclient()),
        ("systemd-networkd, REQUEST", world, request().networkd()),
        ("no parameter list at all", world, discover()),
    ]);
}

#[test]
fn clients_that_shall_boot_their_disk_under_authoritative() {
    let idle = &World::new(DhcpMode::Authoritative).idle();
    let sanboot = &idle.clone().with(|world| {
        world.hardware.as_mut().unwrap().spec.local_boot = LocalBoot::Sanboot;
    });
    assert_table!(&[
        ("QEMU iPXE ROM gets an address, no file, and need not wait", idle, Ask::new(DISCOVER).ipxe_rom()),
        ("EDK2 PXE gets an address and a menu that boots the disk", idle, Ask::new(DISCOVER).edk2_pxe()),
        ("EDK2 HTTP boot gets a file that is not there", idle, Ask::new(DISCOVER).edk2_http()),
        ("sanboot needs a script", sanboot, Ask::new(DISCOVER).ipxe_rom()),
        ("sanboot means nothing to firmware", sanboot, Ask::new(DISCOVER).edk2_pxe()),
    ]);
}

#[test]
fn clients_beside_another_server_under_proxy() {
    let world = &World::new(DhcpMode::Proxy);
    let idle = &world.clone().idle();
    assert_table!(&[
        ("QEMU iPXE ROM", world, Ask::new(DISCOVER).ipxe_rom()),
        ("EDK2 PXE", world, Ask::new(DISCOVER).edk2_pxe()),
        ("EDK2 HTTP boot", world, Ask::new(DISCOVER).edk2_http()),
        ("the REQUEST to the other server", world, Ask::new(REQUEST).selecting(OTHER, NODE).edk2_pxe()),
        (
            "the same, the other server has our address",
            world,
            Ask::new(REQUEST).selecting(SERVER, NODE).edk2_pxe()
        ),
        (
            "the same for an address elsewhere",
            world,
            Ask::new(REQUEST).selecting(OTHER, [10, 0, 0, 9].into())
        ),
        ("a renewal with the other server", world, Ask::new(REQUEST).ciaddr(NODE).networkd()),
        ("port 4011", world, Ask::new(REQUEST).ciaddr(NODE).bios_pxe().via_4011("192.168.99.11:4011")),
        ("port 4011 from elsewhere", world, Ask::new(REQUEST).bios_pxe().via_4011("10.9.9.9:4011")),
        ("INFORM", world, Ask::new(INFORM).ciaddr(NODE).bios_pxe()),
        ("an operating system", world, Ask::new(DISCOVER).udhcpc()),
        ("nothing to do: firmware is sent to its disk", idle, Ask::new(DISCOVER).edk2_pxe()),
        ("nothing to do: iPXE leaves by itself", idle, Ask::new(DISCOVER).ipxe_rom()),
    ]);
}

#[test]
fn machines_that_nobody_declared_where_unknown_is_boot() {
    let undeclared = |mode, unknown| {
        World::new(mode).idle().with(|world| {
            let spec = &mut world.network.as_mut().unwrap().spec;
            spec.unknown = unknown;
            spec.netboot.script = Some("http://boot.example/install.ipxe".to_owned());
            world.hardware = None;
        })
    };
    let proxy = &undeclared(DhcpMode::Proxy, UnknownMachines::Boot);
    let pool = &undeclared(DhcpMode::Authoritative, UnknownMachines::Boot).with(|world| {
        world.lease = Some(Standing::May { ip: [192, 168, 99, 100].into(), clear: true, leased: None });
    });
    let no_pool = &undeclared(DhcpMode::Authoritative, UnknownMachines::Boot);
    let off = &undeclared(DhcpMode::None, UnknownMachines::Boot);
    let recorded = &undeclared(DhcpMode::Proxy, UnknownMachines::Record);
    let addresses_only = &undeclared(DhcpMode::Proxy, UnknownMachines::Pool);
    let selecting = || Ask::new(REQUEST).selecting(SERVER, [192, 168, 99, 100].into());
    assert_table!(&[
        ("authoritative, EDK2 PXE", pool, Ask::new(DISCOVER).edk2_pxe()),
        ("authoritative, QEMU iPXE ROM: never the Network's own script", pool, selecting().ipxe_rom()),
        ("authoritative, EDK2 HTTP boot", pool, Ask::new(DISCOVER).edk2_http()),
        ("authoritative, an operating system gets its address and no file", pool, selecting().udhcpc()),
        (
            "authoritative, port 4011",
            pool,
            Ask::new(REQUEST).ciaddr(NODE).bios_pxe().via_4011("192.168.99.11:4011")
        ),
        ("authoritative without a pool", no_pool, Ask::new(DISCOVER).edk2_pxe()),
        ("proxy, EDK2 PXE", proxy, Ask::new(DISCOVER).edk2_pxe()),
        ("proxy, QEMU iPXE ROM", proxy, Ask::new(DISCOVER).ipxe_rom()),
        (
            "proxy, the REQUEST to the other server",
            proxy,
            Ask::new(REQUEST).selecting(OTHER, NODE).edk2_pxe()
        ),
        ("proxy, port 4011", proxy, Ask::new(REQUEST).ciaddr(NODE).bios_pxe().via_4011("192.168.99.11:4011")),
        ("proxy, an operating system", proxy, Ask::new(DISCOVER).udhcpc()),
        ("mode none", off, Ask::new(DISCOVER).edk2_pxe()),
        ("proxy, unknown: record", recorded, Ask::new(DISCOVER).edk2_pxe()),
        ("proxy, unknown: pool", addresses_only, Ask::new(DISCOVER).edk2_pxe()),
    ]);
}

#[test]
fn silence_and_its_reasons() {
    let world = &World::new(DhcpMode::Authoritative);
    let off = &World::new(DhcpMode::None);
    let off_unknown = &off.clone().with(|world| world.hardware = None);
    let unknown = &world.clone().with(|world| world.hardware = None);
    let no_network = &world.clone().with(|world| world.network = None);
    let netboot_off = &world.clone().with(|world| {
        world.hardware.as_mut().unwrap().spec.interfaces[0].netboot = false;
    });
    let bios =
        &world.clone().with(|world| world.hardware.as_mut().unwrap().spec.firmware = Some(Firmware::Bios));
    let ia32 = Ask::new(DISCOVER)
        .option(code::VENDOR_CLASS, b"PXEClient:Arch:00006:UNDI:003016")
        .option(code::CLIENT_ARCH, &[0, 6])
        .option(code::PARAMETER_LIST, &[1]);
    assert_table!(&[
        ("mode none", off, Ask::new(DISCOVER).edk2_pxe()),
        ("mode none, unknown machine", off_unknown, Ask::new(DISCOVER).edk2_pxe()),
        ("unknown machine", unknown, Ask::new(DISCOVER).edk2_pxe()),
        ("no network", no_network, Ask::new(DISCOVER).edk2_pxe()),
        ("our own reply", world, Ask::new(2)),
        ("netboot off: an address, and why no file", netboot_off, Ask::new(DISCOVER).bios_pxe()),
        ("firmware that was not declared", bios, Ask::new(DISCOVER).edk2_pxe()),
        ("IA32 never gets the x64 file", world, ia32),
    ]);
}
