//! What would a machine boot, and why: the decision alone, without a server.
//!
//! ```text
//! cargo run -p bootcode-examples --example boot_decision
//! ```

use std::{error::Error, net::Ipv4Addr};

use bootcode_core::{
    arch::ClientArch,
    boot::{BootAsk, Client, Site, Stage, plan_boot},
    clock::Timestamp,
    source::Work,
};
use bootcode_examples::Inventory;

fn main() -> Result<(), Box<dyn Error>> {
    let inventory = Inventory::parse("web-1,52:54:00:00:00:01,10.0.0.11\n", "10.0.0.0/24")?;
    let hardware = &*inventory.machines()[0];
    let site = Site { addresses: vec![Ipv4Addr::new(10, 0, 0, 1)], http_port: 7080, disk_loader: false };
    let stages = [
        ("BIOS firmware", Stage::Firmware, Some(ClientArch::X86_BIOS)),
        ("UEFI firmware", Stage::Firmware, Some(ClientArch::X64_EFI)),
        ("UEFI HTTP boot", Stage::HttpBoot, Some(ClientArch::X64_EFI_HTTP)),
        ("iPXE", Stage::Ipxe, Some(ClientArch::X64_EFI)),
    ];
    let provision = Work::Provision { workflow: "install-web-1".into() };
    for (work_name, work) in [("a workflow is open", &provision), ("nothing to do", &Work::Idle)] {
        println!("{} with {work_name}:", hardware.name);
        for (stage_name, stage, arch) in stages {
            let client = Client { mac: hardware.spec.interfaces[0].mac, arch, stage };
            let ask = BootAsk {
                client,
                hardware: Some(hardware),
                network: Some(inventory.network()),
                work,
                site: &site,
            };
            println!("  {stage_name:<15} {:?}", plan_boot(&ask, Timestamp::now()));
        }
    }
    Ok(())
}
