//! Metadata on the real server: what is malformed, too long, too slow or forged, and every path, command and example of its page.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); needs root, `ip` (iproute2), `busybox` and `curl`.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::Read as _,
    process::Command,
    time::{Duration, Instant},
};

use bootcode_api::routes::{File, Files};
use common::{
    MACHINE, NETWORK, Place, Serving, block_on, connect_from, machines_from, on_a_wire, operators, request,
};

const NODE_1: &str = "192.168.99.11";
const STRANGER: &str = "192.168.99.13";
/// What only node-2 may see.
const HERS: &str = "hunter2";

/// node-1 with files for an installer, whose script has a token for them, and node-2 with something of its own.
fn site(place: &Place) -> Serving {
    let server = place.serve(&[]);
    let one = format!(
        "{MACHINE}  userData: 'of node-1'\n  instance: {{install: {{ks.cfg: 'lang {{{{ .hardware.spec.hostname }}}}', user-data: '#cloud-config'}}}}\n  \
         netboot:\n    always: true\n    scriptText: |\n      #!ipxe\n      kernel linux inst.ks=${{bootcode-install}}/ks.cfg\n"
    );
    let two = MACHINE.replace("node-1", "node-2").replace(":01", ":02").replace("99.11", "99.12");
    let two = format!("{two}  userData: {HERS}\n  hostname: {HERS}\n");
    server.apply(&[NETWORK, &one, &two].join("---\n")).unwrap();
    for address in [NODE_1, STRANGER] {
        run(&format!("ip address add {address}/24 dev br0"));
    }
    server
}

fn run(line: &str) {
    let mut words = line.split(' ');
    let status = Command::new(words.next().unwrap()).args(words).status().unwrap();
    assert!(status.success(), "{line}: {status}");
}

/// The token that node-1's installer has on its command line, after its firmware's four messages.
fn installer_s_token() -> String {
    run("ip link add sw0 type veth peer name cli0 address 52:54:00:00:00:01");
    run("ip link set sw0 master br0 up");
    run("ip link set cli0 up");
    run(
        "busybox udhcpc -i cli0 -f -n -q -t 5 -T 2 -s /bin/true -V PXEClient:Arch:00007:UNDI:003016 -x 93:0007",
    );
    let script = "/ipxe/script/52:54:00:00:00:01/auto.ipxe";
    let (status, script) = machines_from(NODE_1, &request("GET", script, "", ""));
    assert_eq!(status, 200, "{script}");
    let set = script.split_once("/install/t/").unwrap_or_else(|| panic!("no token in {script}")).1;
    set.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn what_is_malformed_or_too_much_has_an_exact_status_and_nothing_of_others_in_it() {
    on_a_wire(|| {
        let place = Place::complete("");
        let _server = site(&place);
        let long = "a".repeat(64 << 10);
        let flood: String = (0..101).map(|n| format!("x-{n}: y\r\n")).collect();
        let get = |path: &str| request("GET", path, "", "");
        let with = |headers: &str| request("GET", "/metadata", headers, "");
        let raw = |text: &str| text.as_bytes().to_vec();
        let post = |headers: &str, body: &str| request("POST", "/phone-home?token=x", headers, body);
        let cases = [
            ("as it should be", get("/metadata"), 200),
            ("an unknown path", get("/metadata/nothing"), 404),
            ("an unknown form", get("/azure/latest"), 404),
            ("an unknown version", get("/2000-01-01/meta-data/"), 404),
            ("a path of 64 KiB less one", get(&format!("/{}", &long[2..])), 414),
            ("a path of 64 KiB", get(&format!("/{long}")), 414),
            ("a query of 64 KiB", get(&format!("/metadata?{long}")), 414),
            ("a leaf of 60 KiB", get(&format!("/metadata/{}", &long[..60 << 10])), 404),
            ("101 headers", with(&flood), 431),
            ("a header of 512 KiB", with(&format!("x: {}\r\n", long.repeat(8))), 431),
            ("no method", raw("G E T / HTTP/1.1\r\n\r\n"), 400),
            ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400),
            ("no version of HTTP", raw("GET /metadata HTTP/9.9\r\n\r\n"), 400),
            ("steps out", get("/latest/../metadata"), 404),
            ("encoded steps", get("/latest/%2e%2e/metadata"), 404),
            ("bytes that are no text", get("/nocloud/%ff%fe"), 400),
            ("half an encoding", get("/nocloud/%f"), 404),
            ("a zero byte", get("/latest/meta-data/%00"), 404),
            ("two lengths", post("content-length: 3\r\n", "instance_id=x"), 400),
            ("no length", raw("POST /phone-home HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"), 400),
            (
                "a coding of the transfer that nobody knows",
                raw("POST /phone-home HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n"),
                400,
            ),
            (
                "a body of 1 GiB",
                raw(
                    "POST /phone-home HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1073741824\r\n\r\n",
                ),
                413,
            ),
            (
                "chunks without an end",
                raw(&format!(
                    "POST /phone-home HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{}",
                    format!("10000\r\n{long}\r\n").repeat(17)
                )),
                413,
            ),
            ("a call home without a token", post("", "instance_id=x"), 403),
        ];
        for (what, request, status) in cases {
            let (found, text) = machines_from(NODE_1, &request);
            assert_eq!(found, status, "{what}: {text:.300}");
            assert!(!text.contains(HERS), "{what}: {text}");
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            for path in
                ["/metadata", "/nocloud/user-data", "/latest/meta-data/", "/ignition", "/install/ks.cfg"]
            {
                let (found, text) = machines_from(NODE_1, &request(method, path, "", ""));
                assert_eq!(found, 405, "{method} {path}: {text}");
            }
        }
        let (found, text) = machines_from(NODE_1, &request("GET", "/phone-home", "", ""));
        assert_eq!(found, 405, "{text}");
    });
}

#[test]
fn tokens_that_are_cut_stretched_forged_or_another_machine_s_open_nothing() {
    on_a_wire(|| {
        let place = Place::complete("");
        let _server = site(&place);
        let token = installer_s_token();
        let bearer =
            |token: &str| request("GET", "/metadata", &format!("authorization: Bearer {token}\r\n"), "");
        let in_path = |form: &str, file: &str, token: &str| {
            request("GET", &format!("/{form}/t/{token}/{file}"), "", "")
        };
        let home =
            |token: &str| request("POST", &format!("/phone-home?token={token}"), "", "instance_id=i-node-1");
        // It is good where it should be, also behind a router that hides whose it is.
        for peer in [NODE_1, STRANGER] {
            assert_eq!(
                machines_from(peer, &in_path("install", "ks.cfg", &token)),
                (200, "lang node-1".to_owned())
            );
            let (status, text) = machines_from(peer, &bearer(&token));
            assert!(status == 200 && text.contains("of node-1"), "{status} {text}");
        }
        let ours = |ip: &str| machines_from(ip, &in_path("nocloud", "user-data", &token));
        run("ip address add 192.168.99.12/24 dev br0");
        assert_eq!(ours("192.168.99.12").0, 403, "from another machine's address");

        let changed = |at: usize| {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        };
        let cut = (1..token.len()).step_by(7).map(|at| token[..at].to_owned());
        let forged = (0..token.len()).step_by(7).filter(|at| token.as_bytes()[*at] != b'.').map(changed);
        let stretched =
            [format!("{token}A"), format!("{token}."), format!("{token}.{token}"), token.repeat(40)];
        for bad in cut.chain(forged).chain(stretched) {
            for request in [
                bearer(&bad),
                in_path("install", "ks.cfg", &bad),
                in_path("nocloud", "user-data", &bad),
                home(&bad),
            ] {
                let (status, text) = machines_from(NODE_1, &request);
                assert_eq!(status, 403, "{bad}: {text}");
                assert!(!text.contains("node-1"), "{text}");
            }
        }

        // EC2's clients ask for another where theirs is no good (401), also in the place of which the address would do.
        let ttl = "x-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
        let (status, session) = machines_from(NODE_1, &request("PUT", "/latest/api/token", ttl, ""));
        assert_eq!(status, 200, "{session}");
        let leaf = |token: &str| {
            let header = format!("x-aws-ec2-metadata-token: {token}\r\n");
            request("GET", "/latest/meta-data/hostname", &header, "")
        };
        assert_eq!(machines_from(NODE_1, &leaf(&session)), (200, "node-1".to_owned()));
        for (peer, bad, refused) in [
            (NODE_1, session[..session.len() - 1].to_owned(), 401),
            (NODE_1, format!("{session}A"), 401),
            (NODE_1, session.replacen(&session[3..4], if &session[3..4] == "A" { "B" } else { "A" }, 1), 401),
            (NODE_1, token.clone(), 401),
            (NODE_1, String::new(), 401),
            (STRANGER, session.clone(), 403),
            ("192.168.99.12", session.clone(), 403),
        ] {
            let (status, text) = machines_from(peer, &leaf(&bad));
            assert_eq!(status, refused, "{peer} {bad}: {text}");
            assert!(!text.contains("node-1") && !text.contains(HERS), "{text}");
        }
        for ttl in ["0", "21601", "-1", "1e3", "many", ""] {
            let header = format!("x-aws-ec2-metadata-token-ttl-seconds: {ttl}\r\n");
            assert_eq!(
                machines_from(NODE_1, &request("PUT", "/latest/api/token", &header, "")).0,
                400,
                "{ttl}"
            );
        }
    });
}

#[test]
fn who_is_slow_is_cut_off_and_keeps_nobody_waiting() {
    on_a_wire(|| {
        let place = Place::complete("");
        let _server = site(&place);
        let start = Instant::now();
        let slow = [
            ("a head that never ends", "GET /metadata HTTP/1.1\r\nhost: x\r\n", None),
            (
                "a body that never comes",
                "POST /phone-home HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n",
                Some(408),
            ),
        ];
        let slow: Vec<_> = slow
            .into_iter()
            .flat_map(|case| std::iter::repeat_n(case, 50))
            .map(|(what, begun, status)| {
                let mut stream = connect_from(NODE_1);
                std::io::Write::write_all(&mut stream, begun.as_bytes()).unwrap();
                (what, stream, status)
            })
            .collect();
        while start.elapsed() < Duration::from_secs(25) {
            let asked = Instant::now();
            let (status, text) = machines_from(NODE_1, &request("GET", "/metadata/hostname", "", ""));
            assert_eq!((status, text.as_str()), (200, "node-1\n"));
            assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
            std::thread::sleep(Duration::from_millis(200));
        }
        for (what, mut stream, status) in slow {
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer);
            let found = answer.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
            assert_eq!(found.or(Some(408)), Some(status.unwrap_or(408)), "{what}: {answer}");
        }
        let took = start.elapsed();
        assert!((25..45).contains(&took.as_secs()), "half a minute, not {took:?}");
    });
}

#[test]
fn user_data_of_a_gigabyte_is_applied_by_nobody() {
    on_a_wire(|| {
        let place = Place::complete("");
        let server = site(&place);
        let before = server.documents();
        let head = "POST /api/v1/apply HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
                    content-length: 1073741824\r\n\r\n{\"files\":[{\"name\":\"m.yaml\",\"text\":\"";
        let (status, text) = operators(&place.path("api.sock"), head.as_bytes());
        assert!(status == 413 && text.contains("send it in parts"), "{status} {text}");
        let three = MACHINE.replace("node-1", "node-3").replace(":01", ":03").replace("99.11", "99.14");
        for (field, column) in [("userData", 13), ("vendorData", 15)] {
            let data = "x".repeat((256 << 10) + 1);
            let error = server.apply(&format!("{three}  {field}: {data}\n")).unwrap_err().to_string();
            let place = format!("test.yaml:7:{column}: spec.{field}: `{field}` has more than 262144 bytes");
            assert!(error.contains(&place) && error.contains("/files/"), "{error:.500}");
        }
        assert_eq!(server.documents(), before);
        let most = "x".repeat(256 << 10);
        server.apply(&format!("{three}  userData: {most}\n")).unwrap();
        run("ip address add 192.168.99.14/24 dev br0");
        let (status, text) = machines_from("192.168.99.14", &request("GET", "/nocloud/user-data", "", ""));
        assert_eq!((status, text.len()), (200, most.len()));
    });
}

/// What the page says of metadata is true of the server: its routes answer, its commands run, its examples are applied.
#[test]
fn the_page_s_routes_commands_and_examples_work() {
    on_a_wire(|| {
        let page = include_str!("../../../docs/METADATA.md");
        let place = Place::complete("");
        let server = site(&place);
        let token = installer_s_token();

        // Its table of routes: choices in braces, and what a machine has in the place of names.
        let routes: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("| `") && line.contains("` | "))
            .take_while(|line| !line.contains("Data source"))
            .flat_map(|line| line.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
            .filter(|route| route.starts_with('/'))
            .collect();
        let mut asked = 0;
        for route in &routes {
            for path in choices(route) {
                let path = path
                    .replace("/<key>/<number>/..", "/interfaces/0/ip")
                    .replace("<token>", &token)
                    .replace("<version>", "latest")
                    .replace("<name>", "ks.cfg");
                let rest = if path.contains("nocloud") {
                    "meta-data"
                } else if path.contains("install") {
                    "ks.cfg"
                } else {
                    "meta-data/"
                };
                let path = path.replace("..", rest);
                let (status, text) = machines_from(NODE_1, &request("GET", &path, "", ""));
                // User data that are no Ignition configuration are none.
                let expected = if path == "/ignition" { 404 } else { 200 };
                assert_eq!(status, expected, "{route} as {path}: {text}");
                asked += 1;
            }
        }
        assert!(asked >= 20, "{routes:?}");

        // Its commands, on the machine.
        let commands: Vec<String> = page
            .lines()
            .flat_map(|line| {
                [line.strip_prefix("    "), line.split_once('`').and_then(|(_, rest)| rest.split('`').next())]
            })
            .flatten()
            .filter(|command| command.contains("curl -s"))
            .map(|command| command.replace("curl -s", &format!("curl --interface {NODE_1} --fail -s")))
            .collect();
        assert!(commands.len() >= 3, "{commands:?}");
        let output = Command::new("sh").arg("-ec").arg(commands.join("\n")).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{commands:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("i-node-1") && said.contains("instance-id\n"), "{said}");

        // Its examples of documents.
        let examples = examples(page);
        assert!(examples.len() >= 5, "{examples:?}");
        let storage = NETWORK.replace("{name: lab}", "{name: storage}").replace("192.168.99.0", "10.9.0.0");
        server.apply(&storage).unwrap();
        for example in examples {
            let machine = MACHINE.split("  storage").next().unwrap();
            let machine = if example.contains("interfaces:") {
                machine.split("spec:").next().unwrap().to_owned() + "spec:\n"
            } else {
                machine.to_owned()
            };
            let disks = "  storage: {disks: [{id: a, device: /dev/vda}]}\n";
            let hostname = "  hostname: web-1\n";
            let text = format!("{machine}{disks}{hostname}{example}");
            let mut files = vec![File { name: "m.yaml".to_owned(), text }];
            if example.contains("{file: ks.cfg}") {
                files.push(File { name: "ks.cfg".to_owned(), text: "lang en_US\n".to_owned() });
            }
            let applied = block_on(server.client().apply(&Files { files }));
            assert!(applied.is_ok(), "{example}: {}", applied.unwrap_err());
        }
    });
}

/// `/a/{b,c}` is `/a/b` and `/a/c`.
fn choices(route: &str) -> Vec<String> {
    let Some((before, rest)) = route.split_once('{') else { return vec![route.to_owned()] };
    let (all, after) = rest.split_once('}').unwrap();
    all.split(',').flat_map(|one| choices(&format!("{before}{one}{after}"))).collect()
}

/// Blocks of the page that belong into a Hardware's `spec`, indented for it.
fn examples(page: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in page.lines() {
        match line.strip_prefix("    ") {
            Some(line) => blocks.last_mut().unwrap().push_str(&format!("{line}\n")),
            None if line.is_empty() && blocks.last().unwrap().is_empty() => {}
            None => blocks.push(String::new()),
        }
    }
    let in_spec = |block: String| match block.strip_prefix("spec:\n") {
        Some(spec) => Some(spec.to_owned()),
        None if block.starts_with("netboot:") => {
            Some(block.lines().map(|line| format!("  {line}\n")).collect())
        }
        None => None,
    };
    blocks.into_iter().filter_map(in_spec).collect()
}
