use std::{sync::Mutex, time::Duration};

use super::*;
use crate::{
    clock::ManualClock,
    document::{HardwareSpec, NetworkSpec, UnknownMachines},
    policy::DefaultPolicy,
    session::Use,
    source::Work,
    timeline::BootEvent,
    workflow::{
        Command, Hold, Outcome, State, decide,
        fixtures::{Run, at, failed, hardware, spec},
        work_for,
    },
};

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 99, 11));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 99, 12));

struct OneMachine {
    hardware: Arc<Hardware>,
    work: Mutex<Work>,
}

#[async_trait]
impl HardwareSource for OneMachine {
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        let known = *key == HardwareKey::Mac(MAC) || *key == HardwareKey::Ip(OWN);
        Ok(known.then(|| Arc::clone(&self.hardware)))
    }
}

#[async_trait]
impl NetworkSource for OneMachine {
    async fn network(&self, _: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
        Ok(None)
    }
}

#[async_trait]
impl WorkSource for OneMachine {
    async fn work(&self, _: &Hardware) -> Result<Work, SourceError> {
        Ok(self.work.lock().unwrap().clone())
    }
}

struct Nobody;

impl BootRecorder for Nobody {
    fn record(&self, _: BootEvent) {}
}

fn machine() -> Hardware {
    let interface =
        serde_json::json!({"id": "nic0", "mac": MAC.to_string(), "ip": OWN.to_string(), "netboot": true});
    let spec =
        HardwareSpec { interfaces: vec![serde_json::from_value(interface).unwrap()], ..hardware().spec };
    Hardware { spec, ..hardware() }
}

/// A server that was just started, with what outlives it.
struct Served {
    site: Arc<OneMachine>,
    clock: Arc<ManualClock>,
    sessions: Arc<BootSessions>,
    rendered: Rendered,
}

impl Served {
    fn started() -> Self {
        let site = Arc::new(OneMachine { hardware: Arc::new(machine()), work: Mutex::default() });
        let clock = Arc::new(ManualClock::new(at(1000)));
        let sessions = Arc::new(BootSessions::new());
        let rendered = Rendered::new(RenderedParts {
            hardware: Arc::clone(&site) as _,
            networks: Arc::clone(&site) as _,
            work: Arc::clone(&site) as _,
            policy: Arc::new(DefaultPolicy),
            site: Site { addresses: vec![[192, 168, 99, 1].into()], http_port: 7080, disk_loader: false },
            sessions: Arc::clone(&sessions),
            sealer: Sealer::new([1; 32]),
            entropy: Arc::new(|| [7; 16]),
            recorder: Arc::new(Nobody),
            clock: Arc::clone(&clock) as _,
        });
        Self { site, clock, sessions, rendered }
    }

    async fn ask(&self, peer: IpAddr) -> Result<&'static str, Reason> {
        self.rendered.script(Some(MAC), peer).await.map(|(boots, _)| boots)
    }

    fn works(&self, work: Work) {
        *self.site.work.lock().unwrap() = work;
    }
}

impl Rendered {
    /// As iPXE asks for it.
    async fn script(&self, mac: Option<MacAddr>, peer: IpAddr) -> Result<(&'static str, String), Reason> {
        self.text(form::Form::Ipxe, mac, peer).await.map(Option::unwrap)
    }

    async fn text(
        &self,
        form: form::Form,
        mac: Option<MacAddr>,
        peer: IpAddr,
    ) -> Result<Option<(&'static str, String)>, Reason> {
        let told = self.told(mac, peer, form.stage()).await?;
        told.map(|told| Ok((told.boots(), form.write(&told)?))).transpose()
    }
}

fn provision() -> Work {
    Work::Provision { workflow: "w".to_owned() }
}

#[tokio::test]
async fn a_machine_whose_ack_came_from_the_server_before_this_one_still_gets_its_script() {
    let served = Served::started();
    served.works(provision());
    assert_eq!(served.ask(OTHER).await, Err(Reason::NoBootSession), "not for another address");
    assert_eq!(served.ask(OWN).await, Ok("osie"));
    assert_eq!(served.ask(OTHER).await, Err(Reason::WrongPeer));

    let served = Served::started();
    served.works(provision());
    served.clock.advance(START_GRACE + Duration::from_secs(1));
    assert_eq!(served.ask(OWN).await, Err(Reason::NoBootSession), "by then it would have been seen");
    served.sessions.saw_ack(MAC, OWN, served.clock.now());
    assert_eq!(served.ask(OWN).await, Ok("osie"));
}

#[tokio::test]
async fn a_script_whose_files_cannot_be_loaded_comes_back_for_another() {
    let served = Served::started();
    served.works(provision());
    let (_, script) = served.rendered.script(Some(MAC), OWN).await.unwrap();
    let own =
        "chain --replace http://192.168.99.1:7080/ipxe/script/52:54:00:00:00:01/auto.ipxe || goto failed";
    assert!(script.ends_with(&format!("{own}\n")), "{script}");
    served.works(Work::Idle);
    assert_eq!(served.ask(OWN).await, Ok("local-disk"), "and is told what holds then");
}

#[tokio::test]
async fn a_script_that_a_document_names_takes_the_place_of_ours() {
    let script = async |change: fn(&mut crate::document::Netboot), work: Work| {
        let mut served = Served::started();
        let mut hardware = machine();
        change(&mut hardware.spec.netboot);
        let site = Arc::new(OneMachine { hardware: Arc::new(hardware), work: Mutex::new(work) });
        served.rendered.parts.hardware = Arc::clone(&site) as _;
        served.rendered.parts.work = site;
        served.rendered.script(Some(MAC), OWN).await.unwrap()
    };
    let text: fn(&mut crate::document::Netboot) =
        |netboot| netboot.script_text = Some("#!ipxe\nshell\n".into());
    assert_eq!(script(text, provision()).await, ("script", "#!ipxe\nshell\n".to_owned()));
    assert_eq!(script(text, Work::Idle).await.0, "local-disk", "there is nothing to do");
    let always: fn(&mut crate::document::Netboot) = |netboot| {
        netboot.script = Some("http://boot.example/a.ipxe".into());
        netboot.always = true;
    };
    let (boots, script) = script(always, Work::Idle).await;
    assert_eq!(boots, "script");
    assert!(script.contains("chain --replace http://boot.example/a.ipxe "), "{script}");
}

/// DESIGN, netboot policy: each state of a workflow, and what the machine boots then.
#[tokio::test]
async fn what_a_machine_boots_follows_from_its_workflow_alone() {
    let served = Served::started();
    let ask = async |state: &State, hold: &str| {
        let mut hardware = machine();
        hardware.spec.hold = hold.to_owned();
        served.works(work_for([state], &hardware));
        served.ask(OWN).await.unwrap()
    };
    let mut run = Run::of(&spec());
    assert_eq!(ask(&run.state, "").await, "osie", "open");
    assert_eq!(ask(&run.state, "broken fan").await, "local-disk", "held, nothing written");
    run.command(|_| Command::Hold { reason: Hold::FreshStore }).unwrap();
    assert_eq!(ask(&run.state, "").await, "local-disk", "held, nothing written");
    run.command(|_| Command::Release).unwrap();
    run.claim("boot-1");
    run.end(Outcome::Succeeded).unwrap();
    run.command(|_| Command::Hold { reason: Hold::TokenReused }).unwrap();
    assert_eq!(ask(&run.state, "").await, "local-disk", "its first action wrote nothing");
    run.command(|_| Command::Release).unwrap();
    run.claim("boot-1");
    run.command(|_| Command::Hold { reason: Hold::TokenReused }).unwrap();
    assert_eq!(ask(&run.state, "").await, "osie", "held after a disk was armed: it waits");
    run.command(|_| Command::Release).unwrap();
    run.end(failed("no")).unwrap();
    assert_eq!(ask(&run.state, "").await, "osie", "stopped: it waits");
    run.command(|_| Command::Retry { from: None }).unwrap();
    for _ in 0..2 {
        assert_eq!(ask(&run.state, "").await, "osie");
        run.claim("boot-1");
        run.end(Outcome::Succeeded).unwrap();
    }
    assert_eq!(run.state.state_name(), "Succeeded");
    assert_eq!(ask(&run.state, "").await, "local-disk", "installed");
    let again = decide(&run.state, Command::Hold { reason: Hold::RestoredStore }, at(9)).unwrap();
    assert_eq!(again, [], "what has ended is not held");
}

/// Of a network with this word on strangers, no machine declared.
fn strangers(unknown: Option<UnknownMachines>) -> Served {
    struct Nobody(Option<UnknownMachines>);

    #[async_trait]
    impl HardwareSource for Nobody {
        async fn find(&self, _: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
            Ok(None)
        }
    }

    #[async_trait]
    impl NetworkSource for Nobody {
        async fn network(&self, key: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
            assert!(matches!(key, NetworkKey::Of(OWN | OTHER)));
            let mut spec = NetworkSpec::new("192.168.99.0/24".parse().unwrap());
            spec.gateway = Some([192, 168, 99, 254].into());
            spec.dns.servers = vec![[9, 9, 9, 9].into()];
            spec.netboot.script = Some("http://boot.example/install.ipxe".to_owned());
            Ok(self.0.map(|unknown| {
                Arc::new(Network { name: "lab".into(), spec: NetworkSpec { unknown, ..spec } })
            }))
        }
    }

    let mut served = Served::started();
    let nobody = Arc::new(Nobody(unknown));
    served.rendered.parts.hardware = Arc::clone(&nobody) as _;
    served.rendered.parts.networks = nobody;
    // Whatever work there were, it is not a stranger's.
    served.works(provision());
    served
}

#[tokio::test]
async fn a_stranger_gets_a_script_that_asks_for_its_inventory_and_nothing_else() {
    let served = strangers(Some(UnknownMachines::Boot));
    assert_eq!(served.ask(OWN).await, Err(Reason::NoBootSession), "nobody did DHCP");
    served.sessions.saw_ack(MAC, OWN, served.clock.now());
    assert_eq!(served.ask(OTHER).await, Err(Reason::WrongPeer));
    let (boots, script) = served.rendered.script(Some(MAC), OWN).await.unwrap();
    assert_eq!(boots, "inventory");
    let token = script.split("bootcode.inventory=").nth(1).unwrap().split(' ').next().unwrap();
    let claims = Sealer::new([1; 32]).open(token, Use::Inventory, served.clock.now()).unwrap();
    assert_eq!((claims.hardware, claims.bound), (MAC.to_string(), "lab".to_owned()));
    let kernel = script.lines().find(|line| line.starts_with("kernel ")).unwrap().replace(token, "TOKEN");
    assert_eq!(
        kernel,
        "kernel http://192.168.99.1:7080/osie/vmlinuz-${osie} initrd=initramfs-${osie} \
         bootcode.server=http://192.168.99.1:7080 bootcode.inventory=TOKEN bootcode.mac=52:54:00:00:00:01 \
         bootcode.addr=192.168.99.11/24 bootcode.gw=192.168.99.254 bootcode.dns=9.9.9.9 || goto failed"
    );
    for part in ["bootcode.worker", "bootcode.token", "boot.example"] {
        assert!(!script.contains(part), "{script}");
    }
    let nobodys = served.rendered.script(None, OWN).await;
    assert_eq!(nobodys, Err(Reason::UnknownMachine), "an address alone says of no stranger who it is");
}

#[tokio::test]
async fn where_its_network_does_not_say_so_a_stranger_is_refused() {
    use UnknownMachines::{Ignore, Pool, Record};
    for unknown in [None, Some(Ignore), Some(Record), Some(Pool)] {
        let served = strangers(unknown);
        served.sessions.saw_ack(MAC, OWN, served.clock.now());
        assert_eq!(served.ask(OWN).await, Err(Reason::UnknownMachine), "{unknown:?}");
    }
}

#[tokio::test]
async fn a_script_of_its_own_may_name_the_machine_s_install_files_with_a_token() {
    const SCRIPT: &str = "#!ipxe\nkernel http://mirror/vmlinuz inst.ks=${bootcode-install}/ks.cfg\nboot\n";
    let ask = async |script: &str, peer: IpAddr, dhcp: bool| {
        let mut served = Served::started();
        served.clock.advance(START_GRACE + Duration::from_secs(1));
        let mut hardware = machine();
        hardware.spec.netboot.script_text = Some(script.to_owned());
        let site = Arc::new(OneMachine { hardware: Arc::new(hardware), work: Mutex::new(provision()) });
        served.rendered.parts.hardware = Arc::clone(&site) as _;
        served.rendered.parts.work = site;
        let now = served.clock.now();
        if dhcp {
            served.sessions.saw_ack(MAC, OWN, now);
        }
        (served.rendered.script(Some(MAC), peer).await.map(|(_, text)| text), now)
    };
    let (script, now) = ask(SCRIPT, OWN, true).await;
    let script = script.unwrap();
    let (before, rest) =
        script.split_once("set bootcode-install http://192.168.99.1:7080/install/t/").unwrap();
    let (token, rest) = rest.split_once('\n').unwrap();
    assert_eq!(format!("{before}{rest}"), SCRIPT, "nothing else of it is touched");
    let claims = Sealer::new([1; 32]).open(token, Use::Instance, now).unwrap();
    assert_eq!((claims.hardware.as_str(), claims.bound.as_str()), (machine().name.as_str(), ""));
    assert_eq!(claims.expires, now.as_second() + 86_400);
    // A token is for the address that just did DHCP.
    assert_eq!(ask(SCRIPT, OTHER, true).await.0, Err(Reason::WrongPeer));
    assert_eq!(ask(SCRIPT, OWN, false).await.0, Err(Reason::NoBootSession));
    // Who names none gets none, and is asked for nothing.
    let plain = SCRIPT.replace("${bootcode-install}", "http://mirror");
    assert_eq!(ask(&plain, OTHER, false).await.0, Ok(plain.clone()));
}

const OF_LOADERS: [(form::Form, &str); 4] = [
    (form::Form::Pxelinux, "pxelinux.cfg/01-52-54-00-00-00-01"),
    (form::Form::Grub, "grub/grub.cfg-01-52-54-00-00-00-01"),
    (form::Form::CommandLine, "52-54-00-00-00-01/cmdline.txt"),
    (form::Form::CommandLine, "0000abcd/cmdline.txt"),
];

async fn opened(rendered: &Rendered, name: &str, peer: IpAddr) -> Result<Option<String>, Reason> {
    let name = crate::files::FileName::normalise(name.as_bytes()).unwrap();
    match rendered.open(&FileRequest { name: name.clone(), peer }).await {
        Ok(None) => Ok(None),
        Ok(Some(Blob { body: crate::files::Body::Memory(bytes), .. })) => {
            Ok(Some(String::from_utf8(bytes.to_vec()).unwrap()))
        }
        Err(FileError::Refused { reason, .. }) => Err(reason),
        Ok(Some(_)) => panic!("{name:?} is in memory"),
        Err(error) => panic!("{error}"),
    }
}

/// One decision, whichever boot loader asks: each gets OSIE with the token that iPXE would get.
#[tokio::test]
async fn other_boot_loaders_are_told_what_ipxe_is_told() {
    let served = Served::started();
    served.clock.advance(START_GRACE + Duration::from_secs(1));
    served.works(provision());
    for (_, name) in OF_LOADERS {
        assert_eq!(opened(&served.rendered, name, OWN).await, Err(Reason::NoBootSession), "{name}");
    }
    served.sessions.saw_ack(MAC, OWN, served.clock.now());
    let (_, script) = served.rendered.script(Some(MAC), OWN).await.unwrap();
    let line = script.lines().find(|line| line.starts_with("kernel ")).unwrap();
    let words: Vec<&str> = line.split(' ').skip(3).take_while(|word| *word != "||").collect();
    assert!(words.iter().any(|word| word.starts_with("bootcode.token=")), "{script}");
    for (_, name) in OF_LOADERS {
        let text = opened(&served.rendered, name, OWN).await.unwrap().unwrap();
        let text = text.replace('\'', "");
        assert!(text.contains(&words.join(" ")), "{name}: {text}");
    }
    // By the Pi's serial number it is the asking address that says which machine this is.
    assert_eq!(opened(&served.rendered, "0000abcd/cmdline.txt", OTHER).await, Err(Reason::UnknownMachine));
    for (_, name) in &OF_LOADERS[..3] {
        assert_eq!(opened(&served.rendered, name, OTHER).await, Err(Reason::WrongPeer), "{name}");
    }
}

#[tokio::test]
async fn other_boot_loaders_boot_the_disk_where_ipxe_does() {
    let served = Served::started();
    let [pxelinux, grub, by_mac, by_serial] = OF_LOADERS.map(|(_, name)| name);
    let text = opened(&served.rendered, pxelinux, OWN).await.unwrap().unwrap();
    assert!(text.contains("LOCALBOOT 0"), "{text}");
    let text = opened(&served.rendered, grub, OWN).await.unwrap().unwrap();
    assert_eq!(text, crate::loader::GRUB_LOCAL_DISK);
    for name in [by_mac, by_serial] {
        assert_eq!(opened(&served.rendered, name, OWN).await, Err(Reason::LocalBoot), "{name}");
    }
}

/// A script of somebody's own is iPXE's: what another loader shall do instead lies beside it, among the files.
#[tokio::test]
async fn other_boot_loaders_are_left_to_their_own_files_where_a_document_names_a_script() {
    for change in [
        (|netboot| netboot.script_text = Some("#!ipxe\nshell\n".into())) as fn(&mut crate::document::Netboot),
        |netboot| netboot.script = Some("http://boot.example/a.ipxe".into()),
    ] {
        let mut served = Served::started();
        let mut hardware = machine();
        change(&mut hardware.spec.netboot);
        let site = Arc::new(OneMachine { hardware: Arc::new(hardware), work: Mutex::new(provision()) });
        served.rendered.parts.hardware = Arc::clone(&site) as _;
        served.rendered.parts.work = site;
        for (_, name) in OF_LOADERS {
            assert_eq!(opened(&served.rendered, name, OWN).await, Ok(None), "{name}");
        }
    }
}

#[tokio::test]
async fn other_boot_loaders_of_a_stranger_ask_for_its_inventory_where_its_network_says_so() {
    let served = strangers(Some(UnknownMachines::Boot));
    served.sessions.saw_ack(MAC, OWN, served.clock.now());
    for (_, name) in &OF_LOADERS[..3] {
        let text = opened(&served.rendered, name, OWN).await.unwrap().unwrap();
        assert!(text.contains("bootcode.inventory=") && !text.contains("bootcode.token"), "{text}");
    }
    let served = strangers(None);
    served.sessions.saw_ack(MAC, OWN, served.clock.now());
    for (_, name) in OF_LOADERS {
        assert_eq!(opened(&served.rendered, name, OWN).await, Err(Reason::UnknownMachine), "{name}");
    }
}
