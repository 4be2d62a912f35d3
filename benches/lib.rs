//! What the benchmarks run on: a machine, and the log of a workflow, of the sizes that the field has.
//!
//! ```text
//!  log(actions) ----------> workflow.rs: State::fold, Status::of
//!  machine(), network() --> boot.rs: plan_boot, a DISCOVER from bytes to bytes
//! ```
//!
//! ```
//! let log = bootcode_benches::log(3).unwrap();
//! assert_eq!(log.len(), 1 + 2 * 3 + 1);
//! ```

use bootcode_core::{
    document::{Hardware, HardwareSpec, Network, NetworkSpec},
    workflow::Recorded,
};
use serde_json::{Error, Value, from_value, json};

/// The log of a workflow that succeeded: created, each action started and ended, succeeded.
///
/// # Errors
/// An event's shape is no longer the one that is written here.
pub fn log(actions: u32) -> Result<Vec<Recorded>, Error> {
    let action = |index: u32| {
        json!({"name": format!("action-{index}"), "image": "install-root-fs:v3", "timeoutS": 600, "command": [],
               "onTimeout": null, "onFailure": null, "volumes": ["/dev:/dev"], "environment": {"MIRROR_HOST": "192.168.99.1"},
               "namespaces": {}, "retries": 0, "onInterrupt": "retry", "writes": null})
    };
    let spec = json!({
        "name": "debian_provisioning", "globalTimeoutS": 6000, "onSuccess": "reboot", "onFailure": "stay",
        "tasks": [{"name": "os-installation", "worker": "node-1", "actions": (0..actions).map(action).collect::<Vec<_>>()}],
    });
    let declared = json!({"template": "debian", "hardware": "node-1"});
    let mut events = vec![
        json!({"event": "Created", "declared": declared, "spec": spec, "expires": "2030-01-02T00:00:00Z"}),
    ];
    for index in 0..actions {
        events.push(
            json!({"event": "ActionStarted", "index": index, "attempt": 1, "worker": "node-1", "bootId": "b",
                           "digest": null, "deadline": "2030-01-01T01:00:00Z"}),
        );
        events.push(json!({"event": "ActionEnded", "index": index, "attempt": 1, "outcome": {"result": "succeeded"}, "ranMs": 2000}));
    }
    events.push(json!({"event": "Succeeded", "installation": null}));
    let recorded = |(seq, mut event): (usize, Value)| {
        event["seq"] = json!(seq + 1);
        event["at"] = json!("2030-01-01T00:00:00Z");
        from_value(event)
    };
    events.into_iter().enumerate().map(recorded).collect()
}

/// A machine with an address in [`network`].
///
/// # Errors
/// The document's shape is no longer the one that is written here.
pub fn machine() -> Result<Hardware, Error> {
    let spec: HardwareSpec = from_value(json!({
        "arch": "x86_64",
        "interfaces": [{"id": "nic0", "mac": "52:54:00:00:00:01", "network": "lab", "ip": "192.168.99.11", "netboot": true}],
    }))?;
    Ok(Hardware { name: "node-1".into(), labels: std::collections::BTreeMap::new(), spec })
}

/// A network whose DHCP is ours.
///
/// # Errors
/// The document's shape is no longer the one that is written here.
pub fn network() -> Result<Network, Error> {
    let spec: NetworkSpec = from_value(json!({
        "cidr": "192.168.99.0/24", "gateway": "192.168.99.1", "dhcp": {"mode": "authoritative"},
    }))?;
    Ok(Network { name: "lab".into(), spec })
}

/// The DHCPDISCOVER of a PXE ROM: RFC 2131 fields, then options 53, 93, 94, 60 and 55.
#[must_use]
pub fn discover() -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
    bytes[4..8].copy_from_slice(&0x1234_5678_u32.to_be_bytes());
    bytes[10] = 0x80;
    bytes[28..34].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 1]);
    bytes.extend_from_slice(&[99, 130, 83, 99, 53, 1, 1, 93, 2, 0, 0, 94, 3, 1, 2, 1]);
    let class = b"PXEClient:Arch:00000:UNDI:002001";
    bytes.extend_from_slice(&[60, 32]);
    bytes.extend_from_slice(class);
    bytes.extend_from_slice(&[55, 8, 1, 3, 6, 51, 54, 60, 66, 67, 255]);
    bytes.resize(548, 0);
    bytes
}
