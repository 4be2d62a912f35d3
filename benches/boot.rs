//! What a hall of machines that powers on together asks of the server.

use std::{
    hint::black_box,
    net::{Ipv4Addr, SocketAddrV4},
};

use bootcode_core::{
    arch::ClientArch,
    boot::{BootAsk, BootStep, Client, Site, Stage, plan_boot},
    clock::Timestamp,
    policy::DefaultPolicy,
    source::Work,
};
use bootcode_dhcp::{Facts, Packet, Response, RxMeta, ServerPort, Verdict, classify, respond};
use criterion::{Criterion, criterion_group, criterion_main};

fn decisions(criterion: &mut Criterion) {
    let hardware = bootcode_benches::machine().expect("a machine in the shape that core reads");
    let network = bootcode_benches::network().expect("a network in the shape that core reads");
    let site = Site { addresses: vec![Ipv4Addr::new(192, 168, 99, 1)], http_port: 7080, disk_loader: false };
    let work = Work::Provision { workflow: "install-node-1".into() };
    let client = Client {
        mac: hardware.spec.interfaces[0].mac,
        arch: Some(ClientArch::X86_BIOS),
        stage: Stage::Firmware,
    };
    let ask =
        BootAsk { client, hardware: Some(&hardware), network: Some(&network), work: &work, site: &site };
    let now = Timestamp::UNIX_EPOCH;
    assert!(matches!(plan_boot(&ask, now), BootStep::Nbp { .. }));
    criterion
        .bench_function("plan_boot of a BIOS", |bencher| bencher.iter(|| plan_boot(black_box(&ask), now)));

    let facts = Facts { hardware: Some(&hardware), network: Some(&network), work: &work, lease: None };
    let rx =
        RxMeta { source: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68), port: ServerPort::Dhcp, to: None };
    let answer = |bytes: &[u8]| {
        let packet = Packet::decode(bytes).ok()?;
        let Verdict::Answer(query) = classify(&packet, &rx) else { return None };
        match respond(&query, &facts, &DefaultPolicy, &site, now) {
            Verdict::Answer(Response::Send(sending)) => Some(sending.reply.encode()),
            _ => None,
        }
    };
    let discover = bootcode_benches::discover();
    assert!(answer(&discover).is_some(), "the DISCOVER is answered");
    criterion.bench_function("a DISCOVER, from bytes to the OFFER's", |bencher| {
        bencher.iter(|| answer(black_box(&discover)))
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
