//! The service as machines see it: requests in, answers and recorded events out.

mod bad_input;
mod clouds;
mod counts;
mod fleet;
mod install;
mod real;
mod site;

use std::sync::Arc;

use crate::limits::PHONE_HOME_BYTES;
use axum::http::StatusCode;
use bootcode_core::{
    document::MetadataIdentity,
    session::Use,
    source::CalledHome,
    timeline::{BootEventKind, Reason},
};
use serde_json::Value;
use site::{Away, NOW, World, claims, forged_token, token};

const NODE_1: &str = "192.168.99.11";
const NODE_2: &str = "192.168.99.12";
const FORM: &str = "application/x-www-form-urlencoded";

fn good() -> String {
    token("node-1", Use::Instance, NOW + 3600)
}

#[tokio::test]
async fn the_document_of_an_address_has_no_phone_home() {
    let world = World::new(MetadataIdentity::Address);
    let answer = world.get(NODE_1, "/metadata", None).await;
    assert_eq!((answer.status.as_u16(), answer.cache_control.as_str()), (200, "no-store"));
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    insta::assert_snapshot!("metadata", format!("{document:#}"));
    assert_eq!(world.recorded.last(), Some(BootEventKind::MetadataFetched { path: "/metadata".into() }));
}

#[tokio::test]
async fn the_document_is_served_by_path_too() {
    let world = World::new(MetadataIdentity::Address);
    let cases = [
        ("hostname", 200, "node-1\n"),
        ("hostname/", 200, "node-1\n"),
        ("interfaces/0/ip", 200, "192.168.99.11\n"),
        ("interfaces/0/netboot", 200, "true\n"),
        ("os/size", 200, "1234\n"),
        ("instance/tags", 200, r#"["lab"]"#),
        ("interfaces/1/ip", 404, "no such file\n"),
        ("interfaces/2", 404, "no such file\n"),
        ("interfaces/+0/ip", 404, "no such file\n"),
        ("hostname/x", 404, "no such file\n"),
        ("interfaces//ip", 404, "no such file\n"),
    ];
    for (path, status, text) in cases {
        let answer = world.get(NODE_1, &format!("/metadata/{path}"), None).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (status, text), "{path}");
    }
    let refused = world.get(NODE_1, "/metadata/hostname", Some(&forged_token("node-1"))).await;
    assert_eq!(refused.status, 403);
    let secret = world.get("192.168.99.13", "/metadata/instance/userData", None).await;
    assert_eq!(secret.status, 404, "a secret is for those with a token: {}", secret.body);
}

#[tokio::test]
async fn a_declared_proxy_says_who_asks_and_nobody_else_does() {
    let world = World::new(MetadataIdentity::Address);
    let ask = async |peer: &str, path: &str, forwarded: &str| {
        let request = axum::http::Request::get(path).header("x-forwarded-for", forwarded);
        let answer = world.send(peer, request, "").await;
        (answer.status.as_u16(), answer.body.trim_end().to_owned())
    };
    let path = "/metadata/hostname";
    assert_eq!(ask("10.0.0.9", path, NODE_2).await, (200, "node-2".into()));
    assert_eq!(ask("10.0.0.9", "/latest/meta-data/hostname", NODE_2).await, (200, "node-2".into()));
    assert_eq!(ask("10.0.0.9", path, &format!("{NODE_2}, {NODE_1}")).await, (200, "node-1".into()));
    assert_eq!(ask(NODE_1, path, NODE_2).await, (200, "node-1".into()), "a machine is no proxy");
    assert_eq!(ask("10.0.0.8", path, NODE_2).await.0, 404, "nor is a stranger");
    assert_eq!(ask("10.0.0.9", path, "nobody").await.0, 403);
    assert_eq!(world.recorded.last_refusal(), Some(Reason::WrongPeer));
}

#[tokio::test]
async fn who_knows_a_revision_may_wait_for_another() {
    let world = World::new(MetadataIdentity::Address);
    let known = world.get(NODE_1, "/metadata", None).await.etag;
    assert_eq!(
        known,
        world.get(NODE_1, "/metadata", Some(&good())).await.etag,
        "its phone-home is not of it"
    );
    assert_ne!(known, world.get(NODE_2, "/metadata", None).await.etag);
    let cases = [
        (format!("/metadata?revision={known}"), 0),
        ("/metadata?wait=5".to_owned(), 0),
        ("/metadata?wait=5&revision=0".to_owned(), 0),
        (format!("/metadata?wait=5&revision={known}"), 5),
        (format!("/metadata?wait=4000000000&revision={known}"), i64::from(crate::limits::WAIT_S)),
    ];
    for (path, seconds) in cases {
        let world = World::new(MetadataIdentity::Address);
        let answer = world.get(NODE_1, &path, None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.etag == known, world.slept()),
            (200, true, seconds),
            "{path}"
        );
        assert_eq!(world.recorded.text().matches("Refused").count(), 0, "{path}");
    }
    assert_eq!(world.get(NODE_1, "/metadata?wait=long", None).await.status, 400);

    let world = World::with_sources(Arc::new(site::Renamed(0.into())), MetadataIdentity::Address);
    let known = world.get(NODE_1, "/metadata", None).await.etag;
    let changed = world.get(NODE_1, &format!("/metadata?wait=30&revision={known}"), None).await;
    assert!(changed.body.contains("after") && changed.etag != known, "{}", changed.body);
    assert_eq!(world.slept(), 5, "the sixth look after the first sees it");
}

#[tokio::test]
async fn a_token_earns_a_phone_home_that_lives_no_longer_than_itself() {
    let world = World::new(MetadataIdentity::Token);
    let answer = world.get("10.0.0.1", "/metadata", Some(&good())).await;
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    let url = document["phoneHome"]["url"].as_str().unwrap();
    let (place, token) = url.split_once("?token=").unwrap();
    assert_eq!(place, "http://192.168.99.1:7080/phone-home");
    let claims = claims(token);
    assert_eq!((claims.hardware.as_str(), claims.bound.as_str()), ("node-1", "i-node-1"));
    assert_eq!(claims.expires, NOW + 3600);

    let path = url.strip_prefix("http://192.168.99.1:7080").unwrap();
    let called = world.phone_home(path, FORM, "instance_id=i-node-1&hostname=node-1").await;
    assert_eq!(called.status, 200);
}

#[tokio::test]
async fn every_form_names_the_instance_that_the_machine_is() {
    const ID: &str = "i-node-1-2-6b49d200";
    let world = World::installed(ID);
    for (path, place) in [
        ("/metadata", "/id"),
        ("/nocloud/meta-data", "/instance-id"),
        ("/openstack/latest/meta_data.json", "/uuid"),
        ("/2021-03-23/dynamic/instance-identity/document", "/instanceId"),
    ] {
        let answer: Value = serde_json::from_str(&world.get(NODE_1, path, None).await.body).unwrap();
        assert_eq!(answer.pointer(place), Some(&ID.into()), "{path}");
    }
    assert_eq!(world.get(NODE_1, "/latest/meta-data/instance-id", None).await.body, ID);
    let first = World::new(MetadataIdentity::Address).get(NODE_1, "/metadata", None).await.etag;
    assert_ne!(world.get(NODE_1, "/metadata", None).await.etag, first, "who waits for a change sees it");
    let seed = world.get(NODE_1, "/metadata", Some(&good())).await.body;
    let seed: Value = serde_json::from_str(&seed).unwrap();
    let (_, home) = seed["phoneHome"]["url"].as_str().unwrap().split_once("?token=").unwrap();
    assert_eq!(claims(home).bound, ID, "the seed's token is of the instance that the seed names");
}

#[tokio::test]
async fn a_machine_without_an_os_has_a_document_too() {
    let world = World::new(MetadataIdentity::Address);
    let answer = world.get(&format!("::ffff:{NODE_2}"), "/metadata", None).await;
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(document["id"], "i-node-2", "an IPv4 address on an IPv6 socket is the same address");
    assert_eq!((&document["os"], &document["storage"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn who_may_not_is_refused_with_the_reason_in_the_timeline() {
    let expired = token("node-1", Use::Instance, NOW - 1);
    let session = token("node-1", Use::Session, NOW + 60);
    let boot = token("node-1", Use::Boot, NOW + 60);
    let inventory = token("node-1", Use::Inventory, NOW + 60);
    let gone = token("node-9", Use::Instance, NOW + 60);
    let cases: [(&str, &str, Option<&str>, u16, Reason); 11] = [
        ("forged", NODE_1, Some(&forged_token("node-1")), 403, Reason::BadToken),
        ("no token at all", NODE_1, Some("x"), 403, Reason::BadToken),
        ("empty", NODE_1, Some(""), 403, Reason::BadToken),
        ("expired", NODE_1, Some(&expired), 403, Reason::BadToken),
        ("a worker's session", NODE_1, Some(&session), 403, Reason::BadToken),
        ("a boot", NODE_1, Some(&boot), 403, Reason::BadToken),
        ("an inventory's", NODE_1, Some(&inventory), 403, Reason::BadToken),
        ("stolen by another machine", NODE_2, Some(&good()), 403, Reason::WrongPeer),
        ("a machine that is gone", NODE_1, Some(&gone), 404, Reason::UnknownMachine),
        ("no machine's address", "192.168.99.200", None, 404, Reason::UnknownMachine),
        ("no network's address", "10.0.0.1", None, 404, Reason::UnknownMachine),
    ];
    for path in ["/metadata", "/nocloud/user-data"] {
        for (what, peer, token, status, reason) in cases {
            let world = World::new(MetadataIdentity::Address);
            let answer = world.get(peer, path, token).await;
            assert_eq!(answer.status, status, "{path}: {what}");
            assert_eq!(world.recorded.last_refusal(), Some(reason), "{path}: {what}");
            assert_eq!(answer.body, format!("{reason}\n"), "{path}: {what}");
        }
    }
}

#[tokio::test]
async fn where_the_network_wants_tokens_an_address_is_not_enough() {
    let world = World::new(MetadataIdentity::Token);
    for path in ["/metadata", "/nocloud/meta-data", "/nocloud/user-data"] {
        assert_eq!(world.get(NODE_1, path, None).await.status, 403, "{path}");
        assert_eq!(world.get(NODE_1, path, Some(&good())).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_authorization_that_is_no_bearer_token_counts_as_a_bad_one() {
    let world = World::new(MetadataIdentity::Address);
    for (value, status) in [
        ("Basic cm9vdDpyb290".to_owned(), 403),
        ("Bearer".to_owned(), 403),
        (format!("bearer {}", good()), 200),
        (format!("BEARER  {}", good()), 200),
    ] {
        let request = axum::http::Request::get("/metadata").header("authorization", &value);
        assert_eq!(world.send(NODE_1, request, "").await.status, status, "{value}");
    }
}

#[tokio::test]
async fn nocloud_s_files_are_served_by_address_and_by_token() {
    let world = World::new(MetadataIdentity::Address);
    let mut seed = String::new();
    for file in ["meta-data", "user-data", "vendor-data", "network-config"] {
        let by_address = world.get(NODE_1, &format!("/nocloud/{file}"), None).await;
        let by_token = world.get("10.0.0.1", &format!("/nocloud/t/{}/{file}", good()), None).await;
        assert_eq!((by_address.status.as_u16(), by_token.status.as_u16()), (200, 200), "{file}");
        assert_eq!(by_address.body, by_token.body, "{file}");
        assert_eq!(
            world.recorded.last(),
            Some(BootEventKind::MetadataFetched { path: format!("/nocloud/{file}") })
        );
        seed += &format!("== {file}\n{}", by_address.body);
    }
    insta::assert_snapshot!("nocloud", seed);
    assert_eq!(world.get(NODE_1, "/nocloud/passwd", None).await.status, 404);
    assert_eq!(
        world.get(NODE_1, &format!("/nocloud/t/{}/meta-data", forged_token("node-1")), None).await.status,
        403
    );
}

#[tokio::test]
async fn bonds_and_vlans_are_configured_in_both_forms() {
    let world = World::with_machine("node-1", site::bonded());
    for (name, path) in [
        ("bonded_nocloud", "/nocloud/network-config"),
        ("bonded_openstack", "/openstack/latest/network_data.json"),
    ] {
        let answer = world.get(NODE_1, path, None).await;
        let config: Value = serde_json::from_str(&answer.body).unwrap();
        insta::assert_snapshot!(name, format!("{config:#}"));
    }
    let at_its_vlan = world.get("192.168.99.61", "/metadata/networkConfig", None).await;
    assert_eq!(at_its_vlan.status, 200, "a machine is known by the address of its VLAN too");
}

#[tokio::test]
async fn phoning_home_is_recorded_and_always_needs_a_token() {
    let world = World::new(MetadataIdentity::Address);
    let path = format!("/phone-home?token={}", good());
    let json = r#"{"instance_id": "i-node-1"}"#;
    for (kind, body) in [(FORM, "hostname=node-1&instance_id=i%2dnode%2D1"), ("application/json", json)] {
        assert_eq!(world.phone_home(&path, kind, body).await.status, 200, "{kind}");
        let home = BootEventKind::PhonedHome { instance_id: "i-node-1".into(), host_keys: Vec::new() };
        assert_eq!(world.recorded.last(), Some(home), "{kind}");
    }
    for path in ["/phone-home".to_owned(), format!("/phone-home?token={}", forged_token("node-1"))] {
        assert_eq!(world.phone_home(&path, FORM, "instance_id=i-node-1").await.status, 403);
        assert_eq!(world.recorded.last_refusal(), Some(Reason::BadToken));
    }
}

#[tokio::test]
async fn a_call_home_is_of_the_instance_that_its_token_names_and_kept_before_it_is_answered() {
    let world = World::installed("i-node-1-1-6b49d200");
    let seed: Value =
        serde_json::from_str(&world.get(NODE_1, "/metadata", Some(&good())).await.body).unwrap();
    let url = seed["phoneHome"]["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix("http://192.168.99.1:7080").unwrap();
    let key = "ssh-ed25519 AAAA root@node-1";
    let body = format!("instance_id=i-somebody&pub_key_ed25519={}", key.replace(' ', "+"));
    assert_eq!(world.phone_home(path, FORM, body).await.status, 200);
    let home = CalledHome { instance: "i-node-1-1-6b49d200".into(), host_keys: vec![key.into()] };
    assert_eq!(world.called(), Some(home));
    let old = format!("/phone-home?token={}", good());
    assert_eq!(world.phone_home(&old, FORM, "instance_id=i-node-1-1-6b49d200").await.status, 200);
    assert_eq!(world.called().unwrap().instance, "install-node-1", "not what it calls itself");

    let away = World::installed("");
    assert_eq!(away.phone_home(&old, FORM, "instance_id=i-node-1").await.status, 503, "it calls again");
    assert_eq!(away.recorded.last_refusal(), Some(Reason::StoreAway));
}

#[tokio::test]
async fn a_call_home_is_bounded() {
    let world = World::new(MetadataIdentity::Address);
    let path = format!("/phone-home?token={}", good());
    let body = |bytes: usize| format!("instance_id=i-node-1&x={}", "a".repeat(bytes - 23));
    assert_eq!(world.phone_home(&path, FORM, body(PHONE_HOME_BYTES)).await.status, 200);
    let before = world.recorded.text();
    assert_eq!(world.phone_home(&path, FORM, body(PHONE_HOME_BYTES + 1)).await.status, 413);
    assert_eq!(world.recorded.text(), before, "nothing is recorded of what was not read");
}

#[tokio::test]
async fn a_store_that_is_away_is_never_an_unknown_machine() {
    let world = World::with_sources(Arc::new(Away), MetadataIdentity::Address);
    for token in [None, Some(good())] {
        assert_eq!(world.get(NODE_1, "/metadata", token.as_deref()).await.status, 503);
        assert_eq!(world.recorded.last_refusal(), Some(Reason::StoreAway));
    }
}

#[tokio::test]
async fn no_token_is_recorded_wherever_it_stood() {
    let world = World::new(MetadataIdentity::Address);
    let (good, bad) = (good(), forged_token("node-1"));
    for token in [&good, &bad] {
        world.get(NODE_1, "/metadata", Some(token)).await;
        world.get(NODE_2, "/metadata", Some(token)).await;
        world.get(NODE_1, &format!("/nocloud/t/{token}/user-data"), None).await;
        world.get(NODE_1, &format!("/nocloud/t/{token}/{token}"), None).await;
        world.get(NODE_1, &format!("/nocloud/{token}"), None).await;
        world.get(NODE_1, &format!("/metadata?token={token}"), None).await;
        world.phone_home(&format!("/phone-home?token={token}"), FORM, "instance_id=x").await;
        world.phone_home(&format!("/phone-home?token={token}&token={token}"), FORM, "").await;
    }
    let recorded = world.recorded.text();
    assert!(recorded.lines().count() > 12, "{recorded}");
    for token in [&good, &bad] {
        for half in token.split('.') {
            assert!(!recorded.contains(half), "{recorded}");
        }
    }
}

#[tokio::test]
async fn user_data_that_is_a_secret_is_for_those_with_a_token() {
    let world = World::new(MetadataIdentity::Address);
    let three = token("node-3", Use::Instance, NOW + 60);
    let read = world.get("192.168.99.13", "/nocloud/user-data", Some(&three)).await;
    assert_eq!((read.status, read.body.as_str()), (StatusCode::OK, "#cloud-config\npassword: hunter2\n"));
    let document = world.get("192.168.99.13", "/metadata", Some(&three)).await;
    assert!(document.body.contains("hunter2"), "{}", document.body);
    for file in ["/nocloud/user-data", "/nocloud/vendor-data"] {
        let refused = world.get("192.168.99.13", file, None).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{file}: {}", refused.body);
    }
    let document = world.get("192.168.99.13", "/metadata", None).await;
    assert_eq!(document.status, StatusCode::OK);
    assert!(!document.body.contains("hunter2") && !document.body.contains("secretRef"), "{}", document.body);
    // What cannot be read now is asked for again, not taken for nothing.
    let four = token("node-4", Use::Instance, NOW + 60);
    let away = world.get("192.168.99.14", "/nocloud/user-data", Some(&four)).await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "{}", away.body);
}
