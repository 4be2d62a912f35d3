//! A workflow's log becomes its state on every claim, report and heartbeat.

use std::hint::black_box;

use bootcode_core::workflow::{Phase, State};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn fold(criterion: &mut Criterion) {
    let log = bootcode_benches::log(49).expect("events in the shape that core writes");
    assert_eq!((log.len(), State::fold("w", &log).phase), (100, Phase::Succeeded));
    let mut group = criterion.benchmark_group("workflow");
    group.throughput(Throughput::Elements(log.len() as u64));
    group.bench_function("fold a log of 100 events", |bencher| {
        bencher.iter(|| State::fold("install-node-1", black_box(&log)));
    });
    group.finish();
}

criterion_group!(benches, fold);
criterion_main!(benches);
