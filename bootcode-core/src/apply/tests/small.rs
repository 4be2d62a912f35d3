//! A small apply is checked with a part of the fleet only: what it accepts, the whole check accepts.

use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;

const BY: Bringer<'_> = Bringer { origin: Origin::Operator, directory: None, now: Timestamp::UNIX_EPOCH };

fn hardware(name: u8, mac: u8, ip: u8, network: bool) -> String {
    let network = if network { "lab" } else { "nowhere" };
    format!(
        "apiVersion: bootcode/v1\nkind: Hardware\nmetadata: {{name: node-{name}}}\nspec:\n  interfaces: \
         [{{id: nic0, mac: '52-54-00-00-00-{mac:02X}', network: {network}, ip: 10.0.0.{ip}, netboot: true}}]\n  \
         storage: {{disks: [{{id: a, device: /dev/vda}}]}}\n"
    )
}

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<(u8, u8, u8, bool)>, Option<u8>),
    Delete(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let machine = (0..12_u8, 1..16_u8, 1..16_u8, prop::bool::weighted(0.95));
    prop_oneof![
        4 => (prop::collection::vec(machine, 0..3), prop::option::of(0..12_u8))
            .prop_map(|(machines, workflow)| Step::Apply(machines, workflow)),
        1 => (0..12_u8).prop_map(Step::Delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_small_apply_accepts_what_the_whole_check_accepts(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            world.apply(&[NETWORK, TEMPLATE]).await.unwrap();
            for (number, step) in steps.into_iter().enumerate() {
                let (machines, workflow_of) = match step {
                    Step::Apply(machines, workflow_of) => (machines, workflow_of),
                    Step::Delete(name) => {
                        drop(world.applier.delete(Kind::Hardware, &format!("node-{name}")).await);
                        continue;
                    }
                };
                let mut texts: Vec<String> =
                    machines.iter().map(|(name, mac, ip, network)| hardware(*name, *mac, *ip, *network)).collect();
                texts.extend(workflow_of.map(|node| workflow(&format!("w{number}"), &format!("node-{node}"))));
                let files: Vec<(String, String)> =
                    texts.into_iter().enumerate().map(|(n, text)| (format!("{n}.yaml"), text)).collect();
                let (existing, _) = world.applier.existing().await.unwrap();
                let all: Vec<Document> = existing.values().map(|(document, _)| document.clone()).collect();
                let whole = validate(&files, &all, Origin::Operator, Timestamp::UNIX_EPOCH);
                let turn = Turn::read(&*world.store).await.unwrap();
                let mut fleet = world.applier.fleet.lock().await;
                let part = world.applier.concerned(&mut fleet, &turn, &files, &BY).await.unwrap();
                drop(fleet);
                assert_eq!(part.is_some(), whole.is_ok(), "{files:#?}\n{whole:?}");
                if let (Some(((part, _), _)), Ok(set)) = (part, &whole) {
                    let part: Vec<Document> = part.values().map(|(document, _)| document.clone()).collect();
                    assert_eq!(diff(&part, set.documents()), diff(&all, set.documents()));
                }
                // Two that want one machine are refused by the engine; that is not checked here.
                drop(world.applier.apply(&files, Origin::Operator).await);
            }
        });
    }
}

#[tokio::test]
async fn one_change_reads_little_of_a_large_fleet() {
    let world = World::new().await;
    let machines: Vec<String> = (0..500).map(|number| machine(&format!("node-{number}"), number)).collect();
    world.apply(&[NETWORK, TEMPLATE, &machines.join("---\n")]).await.unwrap();
    let change = machine("node-7", 7).replace("netboot: true", "netboot: false");
    let files = vec![("a.yaml".to_owned(), format!("{change}---\n{}", workflow("w", "node-9")))];
    let turn = Turn::read(&*world.store).await.unwrap();
    let mut fleet = world.applier.fleet.lock().await;
    let found = world.applier.concerned(&mut fleet, &turn, &files, &BY).await.unwrap();
    let names: Vec<_> = found.unwrap().0.0.into_keys().map(|key| key.name).collect();
    assert_eq!(names, ["node-7", "node-9", "lab", "debian"]);
}

#[tokio::test]
async fn a_fault_of_a_small_apply_is_told_as_one_of_a_large_one() {
    let world = World::with_a_machine().await;
    let error = world.apply(&[&workflow("w", "node-11")]).await.unwrap_err().to_string();
    assert!(error.contains("node-1"), "what may have been meant: {error}");
}
