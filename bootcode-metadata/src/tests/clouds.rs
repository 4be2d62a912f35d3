//! EC2's, OpenStack's and Ignition's routes.

use axum::{body::Body, http::Request};
use bootcode_core::{
    document::MetadataIdentity,
    session::Use,
    timeline::{BootEventKind, Reason},
};
use serde_json::{Value, json};

use crate::HopLimit;

use super::{
    NODE_1, NODE_2, good,
    site::{Answer, NOW, World, forged_token, token},
};

const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "X-aws-ec2-metadata-token";
/// Its user data are a secret.
const NODE_3: &str = "192.168.99.13";
/// It wants sessions.
const NODE_5: &str = "192.168.99.15";

async fn with(world: &World, peer: &str, path: &str, name: &str, value: &str) -> Answer {
    world.send(peer, Request::get(path).header(name, value), Body::empty()).await
}

async fn put(world: &World, peer: &str, ttl: &str) -> Answer {
    world.send(peer, Request::put("/latest/api/token").header(TTL, ttl), Body::empty()).await
}

/// All that listings lead to, as a client that knows no path walks them.
async fn walk(world: &World, peer: &str, root: &str) -> String {
    let (mut seen, mut open) = (String::new(), vec![root.to_owned()]);
    while let Some(path) = open.pop() {
        let answer = world.get(peer, &path, None).await;
        assert_eq!(answer.status, 200, "{path}");
        seen += &format!("== {path}\n{}\n", answer.body.trim_end());
        if path.ends_with('/') {
            let names: Vec<&str> = answer.body.lines().collect();
            for name in names.iter().rev() {
                // EC2 lists a key as `0=name` and has it at `0/openssh-key`.
                let name = name.split_once('=').map_or_else(|| (*name).to_owned(), |(n, _)| format!("{n}/"));
                open.push(format!("{path}{name}"));
            }
        }
    }
    seen
}

#[tokio::test]
async fn every_listing_of_ec2_leads_to_leaves() {
    let world = World::new(MetadataIdentity::Address);
    insta::assert_snapshot!("ec2", walk(&world, NODE_1, "/latest/").await);
    let latest = walk(&world, NODE_1, "/latest/").await;
    for version in ["2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23"] {
        let dated = walk(&world, NODE_1, &format!("/{version}/")).await;
        assert_eq!(dated.replace(&format!("/{version}/"), "/latest/"), latest, "{version}");
    }
    let home = BootEventKind::MetadataFetched { path: "/latest/meta-data/instance-id".into() };
    world.get(NODE_1, "/latest/meta-data/instance-id", None).await;
    assert_eq!(world.recorded.last(), Some(home));
}

#[tokio::test]
async fn ec2_has_nothing_that_is_not_declared() {
    let world = World::new(MetadataIdentity::Address);
    for path in [
        "/latest/user-data",
        "/latest/vendor-data",
        "/latest/meta-data/public-keys/",
        "/latest/meta-data/public-keys/0/openssh-key",
        "/latest/meta-data/placement/",
        "/latest/meta-data/network/interfaces/macs/52:54:00:00:00:01/mac",
        "/latest/meta-data/../user-data",
        "/latest/meta-datax",
        "/latest/meta-data//hostname/x",
        "/latest/dynamic/x",
        "/2008-01-01/meta-data/",
        "/latest/api/token/x",
    ] {
        assert_eq!(world.get(NODE_2, path, None).await.status, 404, "{path}");
    }
    assert_eq!(world.get(NODE_2, "/latest/api/token", None).await.status, 405);
    let walked = walk(&world, NODE_2, "/latest/").await;
    for other in ["node-1", NODE_1, "52:54:00:00:00:01", "owner", "vim"] {
        assert!(!walked.contains(other), "{other} in {walked}");
    }
}

#[tokio::test]
async fn a_session_of_ec2_is_good_for_its_address_and_time() {
    let world = World::new(MetadataIdentity::Address);
    let answer = put(&world, NODE_5, "21600").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let path = "/latest/meta-data/hostname";
    let read = with(&world, NODE_5, path, TOKEN, &answer.body).await;
    assert_eq!((read.status.as_u16(), read.body.as_str()), (200, "node-5"));

    assert_eq!(world.get(NODE_5, path, None).await.status, 401, "node-5 wants sessions");
    assert_eq!(world.recorded.last_refusal(), Some(Reason::BadToken));
    assert_eq!(world.get(NODE_1, path, None).await.status, 200, "node-1 does not");
    let instance = token("node-5", Use::Instance, NOW + 60);
    assert_eq!(world.get(NODE_5, path, Some(&instance)).await.status, 200, "a better token than a session's");

    for peer in [NODE_1, "192.168.99.200", "10.0.0.1"] {
        assert_eq!(with(&world, peer, path, TOKEN, &answer.body).await.status, 403, "replayed from {peer}");
        assert_eq!(world.recorded.last_refusal(), Some(Reason::WrongPeer), "{peer}");
    }
    let expired = token("node-5", Use::Imds, NOW - 1);
    let half = &answer.body[..answer.body.len() / 2];
    for bad in ["", "x", half, &format!("{}A", answer.body), &expired, &instance, &forged_token("node-5")] {
        assert_eq!(with(&world, NODE_5, path, TOKEN, bad).await.status, 401, "{bad}");
        assert_eq!(world.recorded.last_refusal(), Some(Reason::BadToken), "{bad}");
    }
}

#[tokio::test]
async fn a_session_of_ec2_lives_a_second_to_six_hours_and_never_goes_through_a_proxy() {
    let world = World::new(MetadataIdentity::Address);
    for (ttl, status) in [("1", 200), ("21600", 200), ("0", 400), ("21601", 400), ("-1", 400), ("+5", 400)] {
        assert_eq!(put(&world, NODE_1, ttl).await.status, status, "{ttl}");
    }
    let none = world.send(NODE_1, Request::put("/latest/api/token"), Body::empty()).await;
    assert_eq!(none.status, 400);
    for header in ["x-forwarded-for", "forwarded"] {
        let request = Request::put("/latest/api/token").header(TTL, "60").header(header, NODE_2);
        assert_eq!(world.send(NODE_1, request, Body::empty()).await.status, 403, "{header}");
    }
    // A declared proxy says who asks; what a machine had passed on by another before it does not come to that.
    for (forwarded, status) in [
        (NODE_1.to_owned(), 200),
        ("192.168.99.200".to_owned(), 404),
        (format!("{NODE_2}, {NODE_1}"), 403),
        (format!("unknown, {NODE_1}"), 403),
    ] {
        let request =
            Request::put("/latest/api/token").header(TTL, "60").header("x-forwarded-for", &forwarded);
        let answer = world.send("10.0.0.9", request, Body::empty()).await;
        assert_eq!(answer.status, status, "{forwarded}");
        if status == 200 {
            let read = with(&world, NODE_1, "/latest/meta-data/hostname", TOKEN, &answer.body).await;
            assert_eq!(read.body, "node-1", "it is the machine's, not the proxy's");
        }
    }
    assert_eq!(put(&world, "192.168.99.200", "60").await.status, 404);
    let strict = World::new(MetadataIdentity::Token);
    assert_eq!(put(&strict, NODE_1, "60").await.status, 403, "an address is not enough there");
}

#[tokio::test]
async fn a_session_goes_as_far_as_the_machine_says_or_is_refused() {
    let nic = json!({"id": "nic0", "mac": "52:54:00:00:00:01", "network": "lab", "ip": NODE_1});
    let limited = json!({"interfaces": [nic], "instance": {"httpPutResponseHopLimit": 2}});
    let world = World::with_machine("node-1", limited);
    let ask = || Request::put("/latest/api/token").header(TTL, "60");
    let hops = HopLimit::default();
    let read = Request::get("/latest/meta-data/hostname").extension(hops.clone());
    assert_eq!(world.send(NODE_1, read, Body::empty()).await.status, 200);
    assert_eq!(hops.get(), None, "only what answers a PUT");
    assert_eq!(world.send(NODE_2, ask().extension(hops.clone()), Body::empty()).await.status, 404);
    assert_eq!(hops.get(), None, "nor to who is refused");
    assert_eq!(world.send(NODE_1, ask().extension(hops.clone()), Body::empty()).await.status, 200);
    assert_eq!(hops.get().map(u8::from), Some(2));
    assert_eq!(put(&world, NODE_1, "60").await.status, 403, "a front that cannot keep it");
    assert_eq!(world.recorded.last_refusal(), Some(Reason::Unsupported));
    let proxied = ask().extension(HopLimit::default()).header("x-forwarded-for", NODE_1);
    assert_eq!(
        world.send("10.0.0.9", proxied, Body::empty()).await.status,
        403,
        "our packets end at the proxy"
    );

    let free = World::new(MetadataIdentity::Address);
    let hops = HopLimit::default();
    assert_eq!(free.send(NODE_1, ask().extension(hops.clone()), Body::empty()).await.status, 200);
    assert_eq!(hops.get(), None);
}

#[tokio::test]
async fn a_session_of_ec2_earns_no_secrets() {
    let world = World::new(MetadataIdentity::Address);
    let session = put(&world, NODE_3, "60").await.body;
    assert_eq!(with(&world, NODE_3, "/latest/user-data", TOKEN, &session).await.status, 403);
    let instance = token("node-3", Use::Instance, NOW + 60);
    let read = world.get(NODE_3, "/latest/user-data", Some(&instance)).await;
    assert!(read.status == 200 && read.body.contains("hunter2"), "{}", read.body);
    for path in ["/openstack/latest/user_data", "/openstack/latest/vendor_data.json", "/ignition"] {
        assert_eq!(world.get(NODE_3, path, None).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn openstack_s_files_are_served() {
    let world = World::new(MetadataIdentity::Address);
    insta::assert_snapshot!("openstack", walk(&world, NODE_1, "/openstack/2018-08-27/").await);
    let versions = world.get(NODE_1, "/openstack", None).await.body;
    assert_eq!(versions, "2012-08-10\n2013-10-17\n2015-10-15\n2018-08-27\nlatest");
    for path in ["/openstack/2000-01-01/meta_data.json", "/openstack/latest/passwd"] {
        assert_eq!(world.get(NODE_1, path, None).await.status, 404, "{path}");
    }
    assert_eq!(world.get(NODE_2, "/openstack/latest/user_data", None).await.status, 404);
    let bare = world.get(NODE_2, "/openstack/latest/vendor_data.json", None).await;
    assert_eq!(bare.body, "{}");
}

#[tokio::test]
async fn ignition_gets_its_own_language_in_a_version_that_it_reads() {
    let world = World::new(MetadataIdentity::Address);
    let own = world.get(NODE_2, "/ignition", None).await;
    insta::assert_snapshot!("ignition", own.body);
    assert_eq!(world.get(NODE_1, "/ignition", None).await.status, 404, "cloud-config is not Ignition's");
    let five = token("node-5", Use::Instance, NOW + 60);
    let served: Value =
        serde_json::from_str(&world.get(NODE_5, "/ignition", Some(&five)).await.body).unwrap();
    assert_eq!(served["ignition"]["version"], "3.3.0");
    for (version, status) in [("3.3.0", 200), ("3.4.0", 200), ("3.2.0", 406), ("2.4.0", 406)] {
        let accept = format!("application/vnd.coreos.ignition+json;version={version}, */*;q=0.1");
        assert_eq!(with(&world, NODE_5, "/ignition", "accept", &accept).await.status, status, "{version}");
    }
    assert_eq!(world.recorded.last_refusal(), Some(Reason::Unsupported));
}

#[tokio::test]
async fn who_may_not_is_refused_by_all_forms() {
    for path in ["/latest/meta-data/", "/openstack/latest/meta_data.json", "/ignition"] {
        let world = World::new(MetadataIdentity::Address);
        let cases = [
            (NODE_1, Some(forged_token("node-1")), 403, Reason::BadToken),
            (NODE_2, Some(good()), 403, Reason::WrongPeer),
            ("192.168.99.200", None, 404, Reason::UnknownMachine),
        ];
        for (peer, token, status, reason) in cases {
            assert_eq!(world.get(peer, path, token.as_deref()).await.status, status, "{path} {reason}");
            assert_eq!(world.recorded.last_refusal(), Some(reason), "{path}");
        }
        assert_eq!(World::new(MetadataIdentity::Token).get(NODE_1, path, None).await.status, 403, "{path}");
    }
}
