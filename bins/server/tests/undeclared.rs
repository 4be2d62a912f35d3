//! A machine that nobody declared, from its first DISCOVER to its declaration: the real server, and what busybox, a socket, the worker and
//! an operator ask of it. Their programs lie beside the server's.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); needs root, `ip` (iproute2) and `busybox`.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bootcode_api::{ClientError, routes::Problem};
use bootcode_core::{mac::MacAddr, unknown::Unknown};
use common::{
    MACHINE, Place, Serving, TEMPLATE, WORKFLOW, block_on, machines, machines_from, on_a_wire, request,
};
use serde_json::{Value, json};

const MAC: &str = "52:54:00:00:00:07";
const LEASED: &str = "192.168.99.100";
const SCRIPT: &str = "/ipxe/script/52:54:00:00:00:07/auto.ipxe";

fn network(unknown: &str) -> String {
    format!(
        "apiVersion: bootcode/v1\nkind: Network\nmetadata: {{name: lab}}\nspec:\n  cidr: 192.168.99.0/24\n  \
         dhcp: {{mode: authoritative}}\n  pool: [192.168.99.100-192.168.99.109]\n  unknown: {unknown}\n"
    )
}

fn run(program: &str, args: &str) {
    let status = Command::new(program).args(args.split(' ')).status().unwrap();
    assert!(status.success(), "{program} {args}: {status}");
}

/// A card on the bridge, and its leased address among ours, so that it can be asked from.
fn plugged_in() {
    run("ip", &format!("link add sw0 type veth peer name cli0 address {MAC}"));
    run("ip", "link set sw0 master br0 up");
    run("ip", "link set cli0 up");
}

/// A program that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Firmware's four messages.
fn pxe() -> bool {
    let status = Command::new("busybox")
        .args("udhcpc -i cli0 -f -n -q -t 5 -T 2 -s /bin/true -V PXEClient:Arch:00007:UNDI:003016".split(' '))
        .args(["-x", "93:0007"])
        .status()
        .expect("busybox: install the package of that name");
    status.success()
}

/// Tells an inventory with this token.
fn tell(token: &str) -> (u16, Value) {
    let headers = format!("content-type: application/json\r\nauthorization: Bearer {token}\r\n");
    let inventory = json!({"arch": "x86_64", "uefi": true, "serial": "S-7", "memoryBytes": 1 << 30,
        "disks": [{"device": "/dev/vda", "serial": "D-1", "sizeBytes": 10_u64 << 30, "kind": "ssd", "blank": true}]});
    let (status, body) = machines(&request("POST", "/worker/v1/inventory", &headers, &inventory.to_string()));
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// The record, once it has what `wanted` looks for.
fn record(server: &Serving, wanted: impl Fn(&Unknown) -> bool) -> Unknown {
    let mac: MacAddr = MAC.parse().unwrap();
    for _ in 0..300 {
        match block_on(server.client().unknown_one(mac)) {
            Ok(machine) if wanted(&machine) => return machine,
            Ok(_) | Err(ClientError::Problem(Problem::NotFound { .. })) => {}
            Err(error) => panic!("{error}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{MAC} did not come to be known");
}

#[test]
fn a_machine_that_nobody_declared_tells_what_it_is_and_restarts_when_it_has_work() {
    on_a_wire(|| {
        let place = Place::complete("");
        let server = place.serve(&[]);
        server
            .apply(&[&network("boot"), MACHINE, TEMPLATE, WORKFLOW].map(String::from).join("---\n"))
            .unwrap();
        plugged_in();
        assert!(pxe(), "an address of the pool");
        run("ip", &format!("address add {LEASED}/32 dev lo"));
        let get = request("GET", SCRIPT, "", "");
        assert_eq!(machines(&get).0, 403, "not for who did no DHCP");
        let (status, script) = machines_from(LEASED, &get);
        assert_eq!(status, 200, "{script}");
        for part in ["bootcode.mac=52:54:00:00:00:07", "bootcode.addr=192.168.99.100/24"] {
            assert!(script.contains(part), "{script}");
        }
        assert!(!script.contains("bootcode.worker"), "{script}");
        let token = script.split("bootcode.inventory=").nth(1).unwrap().split(' ').next().unwrap();

        let (status, told) = tell(token);
        assert_eq!((status, &told["do"], &told["declared"]), (200, &json!("wait"), &json!(false)), "{told}");
        let known = record(&server, |machine| machine.inventory.is_some());
        let inventory = known.inventory.as_ref().unwrap();
        assert_eq!((inventory.serial.as_deref(), inventory.disks.len()), (Some("S-7"), 1));
        assert_eq!(known.vendor_class.as_deref(), Some("PXEClient:Arch:00007:UNDI:003016"), "from DHCP");

        // It opens nothing else, and nothing else opens this.
        let bearer =
            |token: &str| format!("content-type: application/json\r\nauthorization: Bearer {token}\r\n");
        let hello = json!({"token": token, "nonce": "n", "bootId": "b", "inventory": {}}).to_string();
        let heartbeat = r#"{"workflow":"install","attempt":1}"#;
        for (method, path, body) in [
            ("POST", "/worker/v1/hello", hello.as_str()),
            ("POST", "/worker/v1/claim", "null"),
            ("POST", "/worker/v1/heartbeat", heartbeat),
            ("GET", "/metadata", ""),
            ("GET", "/nocloud/user-data", ""),
            ("POST", "/phone-home", ""),
        ] {
            let (status, text) = machines(&request(method, path, &bearer(token), body));
            assert_eq!(status, 403, "{path}: {text}");
        }
        for bad in ["", "abc", &token[..token.len() - 1], &token.replacen('.', "A.", 1)] {
            let (status, told) = tell(bad);
            assert_eq!((status, &told["reason"]), (403, &json!("bad-token")), "{bad}: {told}");
        }

        let declared =
            MACHINE.replace("node-1", "node-7").replace("00:01", "00:07").replace("99.11", "99.17");
        server.apply(&declared).unwrap();
        let (_, told) = tell(token);
        assert_eq!((&told["do"], &told["declared"]), (&json!("wait"), &json!(true)), "{told}");
        server.apply(&WORKFLOW.replace("install", "install-7").replace("node-1", "node-7")).unwrap();
        assert_eq!(tell(token).1, json!({"do": "restart"}));
    });
}

#[test]
fn where_the_network_says_otherwise_a_stranger_is_refused_and_one_that_waits_restarts() {
    on_a_wire(|| {
        let place = Place::complete("");
        let server = place.serve(&[]);
        let fault = server.apply(&network("boot").replace("  pool: [192.168.99.100-192.168.99.109]\n", ""));
        let fault = fault.unwrap_err().to_string();
        assert!(fault.contains("spec.unknown") && fault.contains("give the Network a `pool`"), "{fault}");
        server.apply(&network("boot")).unwrap();
        plugged_in();
        assert!(pxe(), "an address of the pool");
        run("ip", &format!("address add {LEASED}/32 dev lo"));
        let (_, script) = machines_from(LEASED, &request("GET", SCRIPT, "", ""));
        let token = script.split("bootcode.inventory=").nth(1).unwrap().split(' ').next().unwrap();
        assert_eq!(tell(token).1["do"], json!("wait"));
        for unknown in ["pool", "record", "ignore"] {
            server.apply(&network(unknown)).unwrap();
            let (status, text) = machines_from(LEASED, &request("GET", SCRIPT, "", ""));
            assert_eq!(status, 403, "{unknown}");
            assert!(text.contains("no Hardware document names this machine"), "{unknown}: {text}");
            assert_eq!(tell(token).1, json!({"do": "restart"}), "{unknown}");
        }
    });
}

#[test]
fn the_worker_tells_what_the_machine_is_and_an_operator_adopts_it() {
    on_a_wire(|| {
        let place = Place::complete("");
        let server = place.serve(&[]);
        let template = TEMPLATE.replace("volumes: ['/dev:/dev']", "writes: []");
        server.apply(&[network("boot"), template].join("---\n")).unwrap();
        plugged_in();
        assert!(pxe(), "an address of the pool");
        run("ip", &format!("address add {LEASED}/32 dev lo"));
        let (_, script) = machines_from(LEASED, &request("GET", SCRIPT, "", ""));
        place.write("token", script.split("bootcode.inventory=").nth(1).unwrap().split(' ').next().unwrap());

        let program = |name| {
            let path = Path::new(env!("CARGO_BIN_EXE_bootcode-server")).with_file_name(name);
            assert!(path.exists(), "{}: build the workspace first", path.display());
            Command::new(path)
        };
        let mut worker = Killed(
            program("bootcode-worker")
                .args(["--server", "http://192.168.99.1:7080", "--inventory-token-file"])
                .arg(place.path("token"))
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let known = record(&server, |machine| machine.inventory.is_some());
        assert_eq!(known.inventory.unwrap().arch, std::env::consts::ARCH, "of this very host");

        let bootcode = |line: &str| {
            let output = program("bootcode")
                .env("BOOTCODE_SERVER", format!("unix:{}", place.path("api.sock").display()))
                .args(line.split(' '))
                .output()
                .unwrap();
            let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
            assert!(output.status.success(), "{line}: {said}");
            said
        };
        let listed = bootcode("get unknown");
        assert!(listed.contains(MAC) && listed.contains(std::env::consts::ARCH), "{listed}");
        assert!(listed.lines().all(|line| line.chars().count() <= 80), "{listed}");
        assert!(bootcode(&format!("describe unknown {MAC}")).contains("Memory:"));
        bootcode(&format!("adopt {MAC} --name node-7 --ip 192.168.99.17"));
        let adopted = bootcode("get hardware node-7 -o yaml");
        assert!(adopted.contains(&format!("arch: {}", std::env::consts::ARCH)), "{adopted}");
        assert!(bootcode("get unknown").contains("no machine without a Hardware"));
        server.apply(&WORKFLOW.replace("install", "install-7").replace("node-1", "node-7")).unwrap();

        let mut said = String::new();
        worker.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(worker.0.wait().unwrap().success(), "{said}");
        for part in [&*format!("`bootcode adopt {MAC}`"), "the machine restarts", "its owner may restart it"]
        {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
    });
}
