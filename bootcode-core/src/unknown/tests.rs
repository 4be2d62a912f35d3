use std::sync::Arc;

use super::*;
use crate::{
    document::{Hardware, Origin, validate},
    limits::{BATCH_OPERATIONS, UNKNOWN_MACHINES, UNKNOWN_QUEUE},
    source::{HardwareKey, HardwareSource, SourceError},
    store::{MemoryStore, Store as _},
    timeline::NoRecorder,
    workflow::{DiskReport, Inventory},
    yaml,
};

pub(super) fn machine(number: u32, at_s: i64) -> Unknown {
    let [_, a, b, c] = number.to_be_bytes();
    let at = Timestamp::from_second(at_s).unwrap();
    Unknown {
        mac: MacAddr([0x52, 0x54, 0, a, b, c]),
        archs: vec![ClientArch::X64_EFI],
        vendor_class: Some("PXEClient".to_owned()),
        user_class: None,
        guid: None,
        client_id: None,
        hostname: None,
        relay: None,
        circuit_id: None,
        remote_id: None,
        network: "lab".to_owned(),
        first_seen: at,
        last_seen: at,
        times: 1,
        inventory: None,
    }
}

#[test]
fn a_flood_of_addresses_leaves_the_latest_and_batches_within_their_bounds() {
    let mut table = UnknownTable::load([machine(0, 0)]);
    let mut gone = 0;
    for number in 1..=30_000 {
        gone += table.saw(machine(number, i64::from(number)));
        assert!(table.len() <= UNKNOWN_MACHINES);
    }
    assert_eq!(gone, 30_001 - UNKNOWN_MACHINES as u64, "who had to make room is counted");
    assert!(!table.macs().any(|mac| mac == machine(0, 0).mac), "the oldest went");
    assert!(table.macs().any(|mac| mac == machine(30_000, 0).mac), "the latest is there");
    let (mut puts, mut deletes) = (0, 0);
    while let Some(batch) = table.next_batch() {
        assert!(batch.puts.len() + batch.deletes.len() <= BATCH_OPERATIONS);
        (puts, deletes) = (puts + batch.puts.len(), deletes + batch.deletes.len());
        table.written(&batch);
    }
    assert_eq!((puts, deletes), (UNKNOWN_MACHINES, 1), "what came and went in between was never written");
}

#[test]
fn a_machine_that_says_nothing_new_is_written_once_a_minute_and_one_that_does_at_once() {
    let mut table = UnknownTable::default();
    let write = |table: &mut UnknownTable, seen: Unknown| {
        table.saw(seen);
        let batch = table.next_batch();
        batch.inspect(|batch| table.written(batch)).map(|batch| batch.puts[0].1["times"].clone())
    };
    assert_eq!(write(&mut table, machine(1, 0)), Some(json!(1)));
    assert_eq!(write(&mut table, machine(1, 4)), None);
    assert_eq!(write(&mut table, machine(1, 59)), None);
    assert_eq!(write(&mut table, machine(1, 60)), Some(json!(4)));
    let ipxe = Unknown { user_class: Some("iPXE".to_owned()), vendor_class: None, ..machine(1, 61) };
    assert_eq!(write(&mut table, ipxe), Some(json!(5)));
    assert_eq!(write(&mut table, machine(1, 62)), None, "a stage that says less takes nothing away");
}

#[test]
fn a_machine_that_is_declared_leaves_the_store_and_comes_back_whole() {
    let mut table = UnknownTable::load([machine(1, 0)]);
    table.forget(machine(1, 0).mac);
    assert_eq!(table.next_batch().unwrap().deletes, [Unknown::key(machine(1, 0).mac)]);
    table.saw(machine(1, 5));
    let batch = table.next_batch().unwrap();
    assert_eq!((batch.deletes.len(), batch.puts.len()), (0, 1));
}

#[test]
fn what_is_adopted_is_a_document_that_apply_takes() {
    let network =
        "apiVersion: bootcode/v1\nkind: Network\nmetadata: {name: lab}\nspec: {cidr: 10.0.0.0/24}\n";
    for (hostname, name) in
        [(None, "node-525400000001"), (Some("Node-7"), "node-7"), (Some("a b"), "node-525400000001")]
    {
        let said = Unknown { hostname: hostname.map(str::to_owned), ..machine(1, 0) };
        assert_eq!(said.suggested_name(), name);
        let document = said.adopt(name, Some([10, 0, 0, 7].into()), None);
        let text = yaml::to_string(&json!(document)).unwrap();
        let set = validate(&[("n", network), ("h", &text)], &[], Origin::Operator, Timestamp::UNIX_EPOCH);
        set.unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    }
    let inventory = Inventory {
        arch: "x86_64".to_owned(),
        uefi: false,
        serial: Some("S-7".to_owned()),
        uuid: Some("0".repeat(32)),
        memory_bytes: 1 << 30,
        disks: [
            "/dev/sda",
            "/dev/sdb",
            "/dev/sdc",
            "/dev/cciss/c0d0",
            "/etc/passwd",
            "/dev/../x",
            "/dev/sda",
        ]
        .iter()
        .zip([
            (Some("W1"), "S"),
            (None, "S"),
            (None, "T "),
            (None, ""),
            (None, "U"),
            (None, "V"),
            (None, "X"),
        ])
        .map(|(device, (wwn, serial))| DiskReport {
            device: (*device).to_owned(),
            wwn: wwn.map(str::to_owned),
            serial: Some(serial.to_owned()),
            size_bytes: 1 << 30,
            blank: *device != "/dev/sdb",
            ..DiskReport::default()
        })
        .collect(),
    };
    let said = Unknown { inventory: Some(Arc::new(inventory)), ..machine(1, 0) };
    let document = said.adopt("node-7", Some([10, 0, 0, 7].into()), None);
    let text = yaml::to_string(&json!(document)).unwrap();
    validate(&[("n", network), ("h", &text)], &[], Origin::Operator, Timestamp::UNIX_EPOCH)
        .unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    insta::assert_snapshot!(text, @r#"
    apiVersion: bootcode/v1
    kind: Hardware
    metadata:
      name: node-7
    spec:
      interfaces:
      - id: nic0
        mac: "52:54:00:00:00:01"
        network: lab
        netboot: true
        ip: "10.0.0.7"
      arch: x86_64
      firmware: bios
      identity:
        serial: S-7
      storage:
        disks:
        - id: sda
          match:
            wwn: W1
        - id: sdb
          device: /dev/sdb
          keep: true
        - id: sdc
          match:
            serial: T
        - id: cciss-c0d0
          device: /dev/cciss/c0d0
    "#);
    let stored = said;
    assert_eq!(serde_json::from_value::<Unknown>(stored.to_value()).unwrap(), stored);
}

/// Nobody is declared.
struct Nobody;

#[async_trait::async_trait]
impl HardwareSource for Nobody {
    async fn find(&self, _: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        Ok(None)
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_loses_the_newest_at_once_and_what_it_held_reaches_the_store() {
    let store = Arc::new(MemoryStore::new());
    let (queue, driver) = UnknownQueue::new(store.clone(), Arc::new(Nobody), Arc::new(NoRecorder));
    let before = tokio::time::Instant::now();
    for number in 0..200_000 {
        queue.saw(machine(number, 0));
    }
    assert_eq!(before.elapsed(), std::time::Duration::ZERO, "nobody waits for a queue");
    let lost = queue.lost();
    assert_eq!(lost.questions(), 200_000 - UNKNOWN_QUEUE as u64, "what is lost is counted");
    let cancel = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(driver.run(cancel.clone()));
    let mut kept = Vec::new();
    while kept.len() < UNKNOWN_QUEUE {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let (all, _) = store.list(UNKNOWN_KIND).await.unwrap();
        assert!(all.len() >= kept.len());
        kept = all;
    }
    cancel.cancel();
    running.await.unwrap();
    let (all, _) = store.list(UNKNOWN_KIND).await.unwrap();
    assert_eq!(all.len(), UNKNOWN_QUEUE, "those that came first, and nobody else");
    assert_eq!(lost.machines(), 0, "all of them have room");
    for number in [0, 1, UNKNOWN_QUEUE as u32 - 1] {
        assert!(store.get(&Unknown::key(machine(number, 0).mac)).await.unwrap().is_some(), "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn machines_that_make_room_for_others_are_counted() {
    let (queue, driver) =
        UnknownQueue::new(Arc::new(MemoryStore::new()), Arc::new(Nobody), Arc::new(NoRecorder));
    let lost = queue.lost();
    let cancel = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(driver.run(cancel.clone()));
    for number in 0..UNKNOWN_MACHINES as u32 + 7 {
        if number % 1000 == 0 {
            // The queue is emptied meanwhile.
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        queue.saw(machine(number, i64::from(number)));
    }
    cancel.cancel();
    running.await.unwrap();
    assert_eq!((lost.questions(), lost.machines()), (0, 7));
}
