use super::*;
use crate::document::{HardwareSpec, Interface, NetworkSpec};

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);

fn network(unknown: UnknownMachines) -> Network {
    let mut spec = NetworkSpec { unknown, ..NetworkSpec::new("192.168.99.0/24".parse().unwrap()) };
    spec.netboot.script = Some("http://boot.example/install.ipxe".to_owned());
    Network { name: "lab".into(), spec }
}

fn site() -> Site {
    Site { addresses: vec![[192, 168, 99, 1].into()], http_port: 7080, disk_loader: true }
}

fn works() -> [Work; 3] {
    let workflow = || "w".to_owned();
    [
        Work::Idle,
        Work::Provision { workflow: workflow() },
        Work::Wait { workflow: workflow(), reason: "r".to_owned() },
    ]
}

fn plan(
    hardware: Option<&Hardware>,
    network: Option<&Network>,
    work: &Work,
    stage: Stage,
    arch: Option<u16>,
) -> BootStep {
    let client = Client { mac: MAC, arch: arch.map(ClientArch), stage };
    plan_boot(&BootAsk { client, hardware, network, work, site: &site() }, Timestamp::UNIX_EPOCH)
}

#[test]
fn a_machine_that_nobody_declared_boots_for_its_inventory_where_its_network_says_so() {
    let boot = network(UnknownMachines::Boot);
    let nbp = |file: &'static str| BootStep::Nbp {
        file: Cow::Borrowed(file),
        url: format!("http://192.168.99.1:7080/ipxe/binary/{file}"),
    };
    let own = BootStep::Script {
        url: format!("http://192.168.99.1:7080/ipxe/script/{MAC}/auto.ipxe"),
        script: Script::Inventory,
    };
    for (stage, arch, step) in [
        (Stage::Firmware, Some(0), nbp("undionly.kpxe")),
        (Stage::Firmware, Some(7), nbp("snponly.efi")),
        (Stage::HttpBoot, Some(16), nbp("snponly.efi")),
        (Stage::Firmware, Some(6), BootStep::Refuse(Reason::NoNbp)),
        (Stage::Firmware, None, BootStep::Refuse(Reason::NoNbp)),
        (Stage::Ipxe, Some(7), own.clone()),
        (Stage::Ipxe, None, own),
    ] {
        assert_eq!(plan(None, Some(&boot), &Work::Idle, stage, arch), step, "{stage:?} {arch:?}");
    }
}

/// Every mode, stage, architecture and work at once: whatever is asked, no answer leads a stranger to a workflow, to a script of somebody's
/// or to a disk.
#[test]
fn a_machine_that_nobody_declared_never_gets_a_workflow() {
    use UnknownMachines::{Boot, Ignore, Pool, Record};
    for unknown in [None, Some(Ignore), Some(Record), Some(Pool), Some(Boot)] {
        let network = unknown.map(network);
        for work in &works() {
            for stage in [Stage::Firmware, Stage::HttpBoot, Stage::RaspberryPi, Stage::Ipxe] {
                for arch in (0..64).map(Some).chain([None]) {
                    let step = plan(None, network.as_ref(), work, stage, arch);
                    let at = format!("{unknown:?} {work:?} {stage:?} {arch:?}: {step:?}");
                    if unknown != Some(Boot) {
                        assert_eq!(step, BootStep::Refuse(Reason::UnknownMachine), "{at}");
                        continue;
                    }
                    match step {
                        BootStep::Script { script, .. } => {
                            assert_eq!((stage, script), (Stage::Ipxe, Script::Inventory), "{at}");
                        }
                        BootStep::Nbp { file, .. } => assert_ne!(file, DISK_LOADER, "{at}"),
                        BootStep::Refuse(reason) => assert_eq!(reason, Reason::NoNbp, "{at}"),
                        BootStep::LocalDisk { .. } => panic!("{at}"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_declared_machine_is_never_taken_for_a_stranger() {
    let boot = network(UnknownMachines::Boot);
    let interface = Interface { netboot: true, ..Interface::new("nic0", MAC) };
    let spec = HardwareSpec { interfaces: vec![interface], ..HardwareSpec::default() };
    let hardware = Hardware { name: "node-1".into(), labels: Default::default(), spec };
    let other = MacAddr([2, 0, 0, 0, 0, 2]);
    for work in &works() {
        let step = plan(Some(&hardware), Some(&boot), work, Stage::Ipxe, None);
        assert!(!matches!(step, BootStep::Script { script: Script::Inventory, .. }), "{work:?}: {step:?}");
        let client = Client { mac: other, arch: None, stage: Stage::Ipxe };
        let ask = BootAsk { client, hardware: Some(&hardware), network: Some(&boot), work, site: &site() };
        let step = plan_boot(&ask, Timestamp::UNIX_EPOCH);
        assert_eq!(step, BootStep::Refuse(Reason::UnknownMachine), "on a declared machine's switch port");
    }
}
