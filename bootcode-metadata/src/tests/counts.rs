//! What is counted, and the service as a `tower::Service`.

use std::net::{IpAddr, SocketAddr};

use axum::{body::Body, http::Request};
use bootcode_core::document::MetadataIdentity;
use http_body_util::{BodyExt as _, Empty};
use prometheus_client::registry::Registry;
use tower::ServiceExt as _;

use super::{
    FORM, NODE_1, good,
    site::{World, forged_token},
};
use crate::{HopLimit, MetadataService};

fn counted(world: &World) -> String {
    let (mut registry, mut text) = (Registry::with_prefix("bootcode"), String::new());
    world.parts().metrics.register(&mut registry);
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

#[tokio::test]
async fn each_request_is_counted_by_form_outcome_and_reason() {
    let world = World::new(MetadataIdentity::Address);
    world.get(NODE_1, "/latest/meta-data/", None).await;
    world.get(NODE_1, "/2021-03-23/meta-data/hostname", None).await;
    world.get(NODE_1, "/latest/none", None).await;
    world.get(NODE_1, "/latest/api/token", None).await;
    world.send(NODE_1, Request::put("/latest/api/token"), Body::empty()).await;
    world.get(NODE_1, "/nocloud/user-data", None).await;
    world.get("192.168.99.200", "/nocloud/user-data", None).await;
    world.get(NODE_1, "/openstack/latest/meta_data.json", Some(&forged_token("node-1"))).await;
    world.get(NODE_1, "/ignition", None).await;
    world.get(NODE_1, "/metadata?wait=long", None).await;
    world.get(NODE_1, "/metadata", None).await;
    world.phone_home(&format!("/phone-home?token={}", good()), FORM, "instance_id=i").await;
    let proxied = Request::get("/metadata").header("x-forwarded-for", "nobody");
    world.send("10.0.0.9", proxied, Body::empty()).await;
    world
        .get(
            "192.168.99.14",
            "/metadata",
            Some(&super::token("node-4", super::Use::Instance, super::NOW + 9)),
        )
        .await;
    let text = counted(&world);
    for (form, outcome, reason, count) in [
        ("ec2", "answered", "", 2),
        ("ec2", "refused", "not-found", 1),
        ("ec2", "refused", "illegal-request", 2),
        ("nocloud", "answered", "", 1),
        ("nocloud", "refused", "unknown-machine", 1),
        ("openstack", "refused", "bad-token", 1),
        ("ignition", "refused", "not-found", 1),
        ("json", "answered", "", 1),
        ("json", "refused", "illegal-request", 1),
        ("json", "refused", "wrong-peer", 1),
        ("json", "failed", "read-failed", 1),
        ("phone-home", "answered", "", 1),
    ] {
        let line = format!(
            "bootcode_metadata_requests_total{{form=\"{form}\",outcome=\"{outcome}\",reason=\"{reason}\"}} {count}\n"
        );
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(text.contains("bootcode_metadata_in_progress 0\n"), "{text}");
    world.get(NODE_1, "/somewhere/else", None).await;
    assert_eq!(counted(&world), text, "what is no route of ours is nobody's to count here");
}

#[tokio::test]
async fn a_plain_service_answers_as_the_router_does() {
    let world = World::new(MetadataIdentity::Address);
    let peer = SocketAddr::new(NODE_1.parse::<IpAddr>().unwrap(), 4000);
    let service = MetadataService::new(world.parts().clone()).of(peer);
    let get = async |path: &str| {
        // A body of another library, as hyper's own is.
        let request = Request::get(path).body(Empty::new()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap(),
        )
    };
    assert_eq!(get("/latest/meta-data/hostname").await, (200, "node-1".to_owned()));
    assert_eq!(get("/metadata").await.1, world.get(NODE_1, "/metadata", None).await.body);
    assert_eq!(get("/hello").await.0, 404);
    let hops = HopLimit::default();
    let request = Request::put("/latest/api/token").header("x-aws-ec2-metadata-token-ttl-seconds", "60");
    let request = request.body(Empty::<axum::body::Bytes>::new()).unwrap();
    let response = service.clone().with_hop_limit(hops.clone()).oneshot(request).await.unwrap();
    assert_eq!((response.status().as_u16(), hops.get()), (200, None), "node-1 has no limit");
}
