//! A UEFI machine without work is given the program that starts its disk's loader, where there is that program; nobody else is.

#![allow(clippy::unwrap_used)]

mod common;

use bootcode_core::document::{DhcpMode, LocalBoot};
use bootcode_dhcp::{Boot, Onward, Response, Verdict};
use common::{Ask, SERVER, World};

const DISCOVER: u8 = 1;

fn told(world: &World, ask: &Ask) -> Boot {
    match world.ask(ask).0 {
        Verdict::Answer(Response::Send(sending)) => sending.boot,
        other => panic!("no reply: {other:?}"),
    }
}

fn idle(disk_loader: bool) -> World {
    World::new(DhcpMode::Authoritative).idle().with(|world| world.site.disk_loader = disk_loader)
}

fn declared(how: LocalBoot) -> World {
    idle(true).with(|world| world.hardware.as_mut().unwrap().spec.local_boot = how)
}

#[test]
fn x64_uefi_without_work_is_given_the_disk_loader_by_the_protocol_that_it_speaks() {
    let file = "osie/local-disk-x86_64.efi".to_owned();
    let url = format!("http://{SERVER}:7080/{file}");
    assert_eq!(told(&idle(true), &Ask::new(DISCOVER).edk2_pxe()), Boot::Tftp { file: file.clone() });
    assert_eq!(told(&idle(true), &Ask::new(DISCOVER).edk2_http()), Boot::Http { url });
    assert_eq!(told(&idle(true), &Ask::new(DISCOVER).ipxe_snponly()), Boot::Tftp { file: file.clone() });
    let proxy = World::new(DhcpMode::Proxy).idle().with(|world| world.site.disk_loader = true);
    assert_eq!(told(&proxy, &Ask::new(DISCOVER).edk2_pxe()), Boot::Tftp { file });
}

#[test]
fn without_that_program_or_told_otherwise_firmware_is_sent_on_by_itself() {
    let edk2 = || Ask::new(DISCOVER).edk2_pxe();
    assert_eq!(told(&idle(false), &edk2()), Boot::Local(Onward::LocalBoot));
    for how in [LocalBoot::NoReply, LocalBoot::Exit, LocalBoot::Sanboot] {
        assert_eq!(told(&declared(how), &edk2()), Boot::Local(Onward::LocalBoot), "{how:?}");
    }
}

#[test]
fn no_other_machine_is_given_an_x64_program() {
    for ask in [Ask::new(DISCOVER).ipxe_rom(), Ask::new(DISCOVER).bios_pxe()] {
        assert!(matches!(told(&idle(true), &ask), Boot::Local(_)));
    }
    for arch in [6, 11] {
        let class = format!("PXEClient:Arch:{arch:05}:UNDI:003000");
        let ask = Ask::new(DISCOVER).option(60, class.as_bytes()).option(93, &[0, arch]);
        assert_eq!(told(&idle(true), &ask), Boot::Local(Onward::LocalBoot), "{arch}");
    }
    let works = World::new(DhcpMode::Authoritative).with(|world| world.site.disk_loader = true);
    assert_eq!(told(&works, &Ask::new(DISCOVER).edk2_pxe()), Boot::Tftp { file: "snponly.efi".to_owned() });
    let refused = idle(true).with(|world| {
        world.hardware.as_mut().unwrap().spec.interfaces[0].netboot = false;
    });
    assert!(matches!(told(&refused, &Ask::new(DISCOVER).edk2_pxe()), Boot::Refused(..)));
}
