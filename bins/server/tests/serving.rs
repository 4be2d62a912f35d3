//! A server on a wire of its own: starts, ends, watched directories, and who may ask it what.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); needs root and `ip` (iproute2).

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    net::{TcpListener, UdpSocket},
};

use bootcode_tftp::registry::Digest;
use common::{
    MACHINE, NETWORK, Place, TEMPLATE, WORKFLOW, block_on, machines, on_a_wire, operators, request,
};
use nix::sys::signal::Signal;

#[test]
fn a_port_that_is_in_use_is_named_and_nothing_else_is_touched() {
    on_a_wire(|| {
        let place = Place::complete("");
        let udp = |port: u16| UdpSocket::bind(("0.0.0.0", port)).unwrap();
        {
            let _other = udp(69);
            place.run(&[]).is("TFTP", 69, &["tftp.listen", ":69", "in use"]);
        }
        {
            let _other = udp(67);
            place.run(&[]).is("DHCP", 69, &["dhcp", ":67", "another program"]);
        }
        {
            let _other = TcpListener::bind("0.0.0.0:7080").unwrap();
            place.run(&[]).is("HTTP", 69, &["http.listen", ":7080", "in use"]);
        }
        place.run(&["--set", "http.listen=10.9.9.9:80"]).is(
            "no address of ours",
            69,
            &["http.listen", "ip address"],
        );
        place.write("file.sock", "not a socket");
        place.run(&["--set", "api.socket=file.sock"]).is(
            "a file",
            69,
            &["api.socket", "no socket", "remove it"],
        );
        assert_eq!(fs::read(place.path("file.sock")).unwrap(), b"not a socket");
        assert_eq!(place.serve(&[]).end(Signal::SIGTERM), Some(0), "all are free again");
    });
}

#[test]
fn one_server_owns_a_data_directory_and_a_socket() {
    on_a_wire(|| {
        let place = Place::complete("");
        let first = place.serve(&[]);
        place.run(&[]).is("the same directory", 74, &["bootcode.sqlite", "another server"]);
        let elsewhere = [
            "--set",
            "data_dir=other",
            "--set",
            "http.listen=127.0.0.1:0",
            "--set",
            "tftp.listen=127.0.0.1:69",
        ];
        let ended = place.run(&elsewhere);
        assert_eq!(ended.code, Some(69), "its ports or its socket are the first one's: {}", ended.stderr);
        assert_eq!(first.documents(), Vec::<String>::new(), "the first one goes on");
    });
}

#[test]
fn what_was_applied_survives_a_kill_and_a_stale_socket_is_replaced() {
    on_a_wire(|| {
        let place = Place::complete("");
        let server = place.serve(&[]);
        server.apply(&[NETWORK, MACHINE, TEMPLATE, WORKFLOW].join("---\n")).unwrap();
        let before = server.documents();
        assert!(before.contains(&"Workflow/install Pending".to_owned()), "{before:?}");
        assert_eq!(server.end(Signal::SIGKILL), None);
        assert!(place.path("api.sock").exists(), "the socket of the killed one");
        let server = place.serve(&[]);
        assert_eq!(server.documents(), before);
        assert_eq!(server.end(Signal::SIGINT), Some(0));
        assert!(!place.path("api.sock").exists(), "a server that ends takes its socket with it");
        assert_eq!(place.serve(&[]).documents(), before);
    });
}

#[test]
fn a_watched_directory_is_applied_whole_or_not_at_all() {
    on_a_wire(|| {
        let place = Place::complete("sources: [{dir: machines}]\n");
        place.write("machines/a.yaml", NETWORK.replace("cidr", "cdir"));
        place.write("machines/b.yaml", MACHINE.replace("52:54:00:00:00:01", "nonsense"));
        place.write("machines/c.yaml", [TEMPLATE, WORKFLOW].join("---\n"));
        let ended = place.run(&[]);
        assert_eq!(ended.code, Some(65), "{}", ended.stderr);
        for fault in ["a.yaml:4:8: spec: unknown key `cdir`", "b.yaml:5:"] {
            assert!(ended.said.contains(fault), "{fault}: {}", ended.said);
        }
        assert!(!place.path("api.sock").exists(), "a start that failed leaves no socket");

        place.write("machines/a.yaml", NETWORK);
        place.write("machines/b.yaml", MACHINE);
        let server = place.serve(&[]);
        let all = ["Network/lab", "Hardware/node-1", "Template/debian", "Workflow/install Held"];
        assert_eq!(server.documents(), all, "the start that failed was none: the store is fresh still");

        let second = MACHINE.replace("node-1", "node-2").replace(":01", ":02");
        place.write("machines/d.yaml", &second);
        let told = server.wait_for("documents are as they were applied last");
        assert!(told.contains("nothing of"), "{told}");
        let fault = server.wait_for("machines/d.yaml:5:");
        assert!(fault.contains("192.168.99.11"), "the address is taken: {fault}");
        assert_eq!(server.documents(), all);
        place.write("machines/d.yaml", second.replace("99.11", "99.12"));
        server.wait_for("documents applied");
        assert!(server.documents().contains(&"Hardware/node-2".to_owned()));

        fs::rename(place.path("machines"), place.path("away")).unwrap();
        server.wait_for("documents are as they were applied last");
        assert!(
            server.documents().contains(&"Hardware/node-2".to_owned()),
            "nothing is deleted with the directory"
        );

        let any = WORKFLOW
            .replace("install", "again")
            .replace("hardware: node-1", "hardware: node-2, overwrite: any");
        fs::rename(place.path("away"), place.path("machines")).unwrap();
        place.write("machines/e.yaml", &any);
        let fault = server.wait_for("machines/e.yaml:4:");
        assert!(fault.contains("overwrite"), "{fault}");
    });
}

/// A machine that asks a moment after the start is none that nobody declared.
#[test]
fn a_server_that_serves_knows_all_that_its_directory_brought() {
    on_a_wire(|| {
        let place = Place::complete("sources: [{dir: machines}]\n");
        let mut text = NETWORK.replace("192.168.99.0/24", "192.168.0.0/16");
        for n in 0..3000 {
            let (high, low) = (n / 250, n % 250 + 1);
            text.push_str("---\n");
            text.push_str(
                &MACHINE
                    .replace("node-1", &format!("m{n}"))
                    .replace("00:00:01", &format!("01:{high:02x}:{low:02x}"))
                    .replace("192.168.99.11", &format!("192.168.{}.{low}", 100 + high)),
            );
        }
        place.write("machines/all.yaml", text);
        let server = place.serve(&[]);
        let last = block_on(server.client().timeline("m2999", 0, false));
        assert!(last.is_ok(), "{last:?}");
    });
}

#[test]
fn an_operator_is_answered_in_full_and_nothing_is_applied_by_halves() {
    on_a_wire(|| {
        let place = Place::complete("");
        let server = place.serve(&[]);
        server.apply(&[NETWORK, MACHINE, TEMPLATE].join("---\n")).unwrap();
        let before = server.documents();
        let good = MACHINE.replace("node-1", "node-2").replace(":01", ":02").replace("99.11", "99.12");
        let bad_template = TEMPLATE.replace("timeout: 9", "timeuot: 9");
        let rendered = format!("{bad_template}---\n{}", WORKFLOW.replace("node-1", "node-2"));
        for (what, bad, expected) in [
            (
                "an unknown key",
                NETWORK.replace("lab", "b").replace("cidr", "cdir"),
                "test.yaml:11:8: spec: unknown key",
            ),
            ("a bad MAC", MACHINE.replace("node-1", "x").replace(":01", ":zz"), "test.yaml:12:"),
            (
                "an address elsewhere",
                MACHINE.replace("node-1", "x").replace(":01", ":03").replace("99.11", "98.11"),
                "test.yaml:12:",
            ),
            ("a MAC of another", MACHINE.replace("node-1", "x").replace("99.11", "99.13"), "test.yaml:12:"),
            ("no such template", WORKFLOW.replace("debian", "nope"), "there is no Template `nope`"),
            ("an unknown function", TEMPLATE.replace("{{.device_1}}", "{{nope 1}}"), "test.yaml:18:18"),
            ("a fault that shows when it is rendered", rendered, "test.yaml:20:"),
        ] {
            let error = server.apply(&format!("{good}---\n{bad}")).expect_err(what).to_string();
            assert!(error.contains(expected), "{what}: `{expected}` is not in: {error}");
            assert_eq!(server.documents(), before, "{what}");
        }
        let hundred: Vec<String> =
            (0..100).map(|n| NETWORK.replace("lab", &format!("n{n}")).replace("cidr", "cdir")).collect();
        let error = server.apply(&hundred.join("---\n")).unwrap_err().to_string();
        assert!(error.lines().count() >= 100, "all are listed: {}", error.lines().count());
        let answer = operators(
            &place.path("api.sock"),
            &request("POST", "/api/v1/apply", "content-type: application/json\r\n", "{}"),
        );
        assert_eq!(answer.0, 422, "{}", answer.1);
        assert!(answer.1.contains("malformed") && answer.1.contains("files"), "{}", answer.1);
    });
}

#[test]
fn machines_and_operators_get_what_is_theirs() {
    on_a_wire(|| {
        let place = Place::complete("");
        place.write("files/a.txt", "hello");
        place.write("secret", "not for machines");
        std::os::unix::fs::symlink("../secret", place.path("files/link")).unwrap();
        let server = place.serve(&[]);
        server.apply(&[NETWORK, MACHINE, TEMPLATE, WORKFLOW].join("---\n")).unwrap();
        let socket = place.path("api.sock");
        for (path, status, body) in [
            ("/healthz", 200, ""),
            ("/files/a.txt", 200, "hello"),
            ("/ipxe/binary/a.txt", 200, "hello"),
            ("/ipxe/binary/../a.txt", 400, ""),
            ("/ipxe/binary/autoexec.ipxe", 200, "/ipxe/script/${netX/mac}/auto.ipxe"),
            ("/files/none", 404, "there is no file"),
            ("/files/../secret", 400, ""),
            ("/files/%2e%2e/secret", 400, ""),
            ("/files/..%2fsecret", 400, ""),
            ("/files/a.txt%00", 400, ""),
            ("/files/link", 404, "there is no file"),
            ("/osie/..%2f..%2fsecret", 400, ""),
            ("/v2/", 200, "{}"),
            ("/v2/none/manifests/v1", 404, "NAME_UNKNOWN"),
            ("/ipxe/script/52:54:00:00:00:01/auto.ipxe", 403, "no DHCP exchange"),
            ("/ipxe/script/52:54:00:00:00:99/auto.ipxe", 403, "no Hardware document"),
            ("/auto.ipxe", 403, "no Hardware document"),
            ("/metadata", 404, "no Hardware document"),
            ("/api/v1/hardware", 404, "no file"),
            ("/metrics", 404, "no file"),
        ] {
            let (got, text) = machines(&request("GET", path, "", ""));
            assert_eq!(got, status, "{path}: {text}");
            assert!(text.contains(body), "{path}: {text}");
            assert!(!text.contains("not for machines"), "{path}");
        }
        // What machines asked of their metadata is told to operators.
        let (_, counted) = operators(&socket, &request("GET", "/metrics", "", ""));
        for line in [
            "bootcode_metadata_requests_total{form=\"json\",outcome=\"refused\",reason=\"unknown-machine\"} 1\n",
            "bootcode_metadata_in_progress 0\n",
        ] {
            assert!(counted.contains(line), "{line}{counted}");
        }
        let json = "content-type: application/json\r\n";
        let bad_token = "content-type: application/json\r\nauthorization: Bearer abc\r\n";
        let big = " ".repeat(3 << 20);
        for (path, headers, body, status, text) in [
            ("/worker/v1/claim", json, "null", 403, "bad-token"),
            ("/worker/v1/claim", bad_token, "null", 403, "bad-token"),
            ("/worker/v1/heartbeat", bad_token, r#"{"workflow":"install","attempt":1}"#, 403, "bad-token"),
            ("/worker/v1/hello", json, "{", 400, "malformed"),
            ("/worker/v1/hello", json, "{}", 422, "malformed"),
            ("/worker/v1/hello", "", "{}", 415, "malformed"),
            ("/worker/v1/hello", json, &big, 413, ""),
            ("/phone-home", "", &big, 413, ""),
            ("/phone-home", "", "", 403, ""),
            ("/files/a.txt", "", "x", 405, ""),
            ("/api/v1/apply", json, r#"{"files":[]}"#, 405, ""),
        ] {
            let (got, answer) = machines(&request("POST", path, headers, body));
            assert_eq!(got, status, "POST {path} {headers:?}: {answer}");
            assert!(answer.contains(text), "POST {path}: {answer}");
        }
        for path in ["/files/a.txt", "/metadata", "/auto.ipxe", "/worker/v1/claim"] {
            assert_eq!(operators(&socket, &request("GET", path, "", "")).0, 404, "{path}");
        }
        assert_eq!(operators(&socket, &request("GET", "/healthz", "", "")).0, 200);
        assert!(server.documents().contains(&"Workflow/install Pending".to_owned()), "nobody moved it");
    });
}

#[test]
fn a_machine_is_shown_with_its_status_and_may_be_applied_again_as_it_is_shown() {
    on_a_wire(|| {
        let place = Place::complete("");
        let server = place.serve(&[]);
        server.apply(&[NETWORK, MACHINE].join("---\n")).unwrap();
        let one = block_on(server.client().one("Hardware", "node-1", false)).unwrap();
        assert_eq!(one["status"], serde_json::json!({"instance": "i-node-1"}));
        let resolved = block_on(server.client().one("Hardware", "node-1", true)).unwrap();
        assert_eq!(resolved["status"], one["status"]);
        let all = block_on(server.client().list("Hardware")).unwrap().items;
        assert_eq!(all, std::slice::from_ref(&one));
        let applied = server.apply(&one.to_string()).unwrap();
        assert_eq!(applied.unchanged, ["Hardware/node-1"], "{applied:?}");
        let (status, refused) =
            machines(&request("POST", "/phone-home?token=x.y", "", "instance_id=i-node-1"));
        assert_eq!(status, 403, "{refused}");
        assert_eq!(block_on(server.client().one("Hardware", "node-1", false)).unwrap(), one);
    });
}

#[test]
fn operators_push_an_image_and_machines_only_pull_it() {
    on_a_wire(|| {
        let place = Place::new("interfaces: [br0]\ndata_dir: data\napi: {socket: api.sock}\n");
        let _server = place.serve(&[]);
        let socket = place.path("api.sock");
        let layer = Digest::of(b"layer");
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[],
            "config":{{"mediaType":"m","digest":"{layer}","size":5}}}}"#
        );
        let blob = request("POST", &format!("/v2/tool/blobs/uploads/?digest={layer}"), "", "layer");
        let tag = request("PUT", "/v2/tool/manifests/v1", "", &manifest);
        for refused in [&blob, &tag, &request("DELETE", "/v2/tool/manifests/v1", "", "")] {
            let (status, said) = machines(refused);
            assert!(status == 405 && said.contains("UNSUPPORTED"), "{status} {said}");
        }
        for pushed in [&blob, &tag] {
            assert_eq!(operators(&socket, pushed).0, 201);
        }
        assert_eq!(machines(&request("GET", "/v2/tool/manifests/v1", "", "")), (200, manifest));
        assert_eq!(machines(&request("GET", &format!("/v2/tool/blobs/{layer}"), "", "")).1, "layer");
        assert!(place.path("images/oci-layout").exists(), "the default layout was made");
    });
}
