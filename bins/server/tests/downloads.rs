//! What machines download of the real server, as its metrics tell it.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); needs root and `ip` (iproute2).

#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, machines, on_a_wire, operators, request};
use nix::sys::signal::Signal;

#[test]
fn what_machines_download_is_counted_and_what_is_large_keeps_below_the_rate() {
    on_a_wire(|| {
        let large = "http: {largeDownloads: {fromMib: 1, parallel: 2, megabitsPerSecond: 4}}\n";
        let place = Place::complete(large);
        // `exchange` reads 1 MiB with the head.
        place.write("files/small", vec![7; 1000]);
        place.write("files/large", vec![7; 1 << 20]);
        let serving = place.serve(&[]);
        let get = |path: &str| machines(&request("GET", path, "", ""));
        assert_eq!(get("/files/small").1.len(), 1000);
        assert_eq!(get("/files/none").0, 404);
        let begin = std::time::Instant::now();
        assert!(get("/files/large").1.len() > 1_000_000);
        let seconds = begin.elapsed().as_secs_f64();
        assert!(seconds > 0.9 * 2.0, "{seconds} s for 8 megabits at 4 a second");
        let (status, shown) = operators(&place.path("api.sock"), &request("GET", "/metrics", "", ""));
        assert_eq!(status, 200);
        for row in [
            "bootcode_http_requests_total{kind=\"file\",outcome=\"finished\",reason=\"\"} ",
            "bootcode_http_requests_total{kind=\"file\",outcome=\"refused\",reason=\"not-found\"} 1\n",
            "bootcode_http_bytes_total{kind=\"file\"} ",
            "bootcode_http_waiting 0\n",
        ] {
            assert!(shown.contains(row), "{row}{shown}");
        }
        assert_eq!(serving.end(Signal::SIGTERM), Some(0));
    });
}
