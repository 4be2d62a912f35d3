//! The driver against a service that loses answers and a worker that dies at every step.

mod fake;

use std::sync::Arc;

use bootcode_core::workflow::{FailureReason, Outcome};
use tokio_util::sync::CancellationToken;

use self::fake::{FakeRuntime, FakeService, Trouble, parts};
use super::Driver;
use crate::agent::Ending;

/// Runs one worker until it is stopped by the end of the workflow.
async fn work(service: &Arc<FakeService>, runtime: &Arc<FakeRuntime>, dir: &std::path::Path) -> Ending {
    let stop = CancellationToken::new();
    let parts = parts(service, runtime, dir, &stop);
    tokio::time::timeout(std::time::Duration::from_secs(3600), Driver::run(parts, stop))
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_action_runs_once_and_is_reported_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (service, runtime) = (FakeService::new(3, Trouble::None), FakeRuntime::new());
    assert_eq!(work(&service, &runtime, dir.path()).await, Ending::Stopped);
    let reports = service.reports();
    let order: Vec<_> =
        reports.iter().map(|report| (report.index, report.attempt, &report.outcome)).collect();
    assert_eq!(
        order,
        [(0, 1, &Outcome::Succeeded), (1, 1, &Outcome::Succeeded), (2, 1, &Outcome::Succeeded)]
    );
    assert_eq!(runtime.runs(), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(service.log_of(1), "action 1: grün\n");
    assert_eq!(std::fs::read_dir(dir.path().join("run/spool")).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn whatever_answers_are_lost_each_attempt_runs_once_and_counts_once() {
    for seed in 1..40 {
        let dir = tempfile::tempdir().unwrap();
        let (service, runtime) = (FakeService::new(3, Trouble::Lossy { seed }), FakeRuntime::new());
        assert_eq!(work(&service, &runtime, dir.path()).await, Ending::Stopped, "seed {seed}");
        let order: Vec<_> = service.reports().iter().map(|report| (report.index, report.attempt)).collect();
        assert_eq!(order, [(0, 1), (1, 1), (2, 1)], "seed {seed}");
        assert_eq!(runtime.runs(), [(0, 1), (1, 1), (2, 1)], "seed {seed}");
        assert_eq!(service.log_of(2), "action 2: grün\n", "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_at_any_call_runs_no_attempt_twice() {
    for calls in 0..24 {
        let dir = tempfile::tempdir().unwrap();
        let (service, runtime) = (FakeService::new(2, Trouble::None), FakeRuntime::new());
        let stop = CancellationToken::new();
        let first = Driver::run(parts(&service, &runtime, dir.path(), &stop), stop);
        tokio::select! {
            ended = first => assert_eq!(ended.unwrap(), Ending::Stopped),
            () = service.after(calls) => {}
        }
        assert_eq!(work(&service, &runtime, dir.path()).await, Ending::Stopped, "died after call {calls}");
        let mut runs = runtime.runs();
        runs.sort_unstable();
        let count = runs.len();
        runs.dedup();
        assert_eq!(runs.len(), count, "an attempt ran twice, died after call {calls}");
        for index in 0..2 {
            let reports: Vec<_> =
                service.reports().into_iter().filter(|report| report.index == index).collect();
            assert_eq!(reports.last().unwrap().outcome, Outcome::Succeeded, "died after call {calls}");
            for report in &reports[..reports.len() - 1] {
                let expected = FailureReason::WorkerRestarted;
                assert!(
                    matches!(report.outcome, Outcome::Failed { reason, .. } if reason == expected),
                    "{calls}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_action_that_outlasts_the_server_is_reported_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let service = FakeService::new(1, Trouble::AwayAfter { calls: 3, seconds: 300 });
    let runtime = FakeRuntime::new();
    assert_eq!(work(&service, &runtime, dir.path()).await, Ending::Stopped);
    assert_eq!(runtime.runs(), [(0, 1)]);
    assert_eq!(service.reports()[0].outcome, Outcome::Succeeded);
    assert_eq!(service.log_of(0), "action 0: grün\n");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_action_is_killed_and_reported_so() {
    let dir = tempfile::tempdir().unwrap();
    let (service, runtime) = (FakeService::new(1, Trouble::Cancels), FakeRuntime::endless());
    assert_eq!(work(&service, &runtime, dir.path()).await, Ending::Stopped);
    assert_eq!(service.reports()[0].outcome, Outcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn an_action_that_takes_too_long_is_killed_and_reported_so() {
    let dir = tempfile::tempdir().unwrap();
    let (service, runtime) = (FakeService::new(1, Trouble::None), FakeRuntime::endless());
    assert_eq!(work(&service, &runtime, dir.path()).await, Ending::Stopped);
    let report = &service.reports()[0];
    assert!(matches!(report.outcome, Outcome::TimedOut { .. }), "{report:?}");
    assert_eq!(report.ran_ms, 90_000);
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_takes_too_long_is_a_failed_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let (service, runtime) = (FakeService::new(1, Trouble::None), FakeRuntime::slow_to_pull());
    assert_eq!(work(&service, &runtime, dir.path()).await, Ending::Stopped);
    let report = &service.reports()[0];
    let Outcome::Failed { reason: FailureReason::ImagePull, message, .. } = &report.outcome else {
        panic!("{report:?}")
    };
    assert!(message.contains("600 s"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_worker_ends_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (service, runtime) = (FakeService::new(1, Trouble::Refuses), FakeRuntime::new());
    let ending = work(&service, &runtime, dir.path()).await;
    assert!(matches!(ending, Ending::Refused { .. }), "{ending:?}");
    assert!(runtime.runs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn actions_get_their_environment_token_and_shared_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (service, runtime) = (FakeService::new(1, Trouble::None), FakeRuntime::new());
    work(&service, &runtime, dir.path()).await;
    let spec = runtime.specs().remove(0);
    for (name, value) in [
        ("BOOTCODE_METADATA_URL", "http://server/metadata"),
        ("BOOTCODE_TOKEN_FILE", "/run/bootcode/token"),
        ("BOOTCODE_WORKFLOW", "install-node-1"),
        ("BOOTCODE_ACTION", "action-0"),
        ("BOOTCODE_ATTEMPT", "1"),
        ("BOOTCODE_DISKS", "{}"),
    ] {
        assert_eq!(spec.environment.get(name).map(String::as_str), Some(value));
    }
    let [shared, outputs, token] = &spec.volumes[..] else { panic!("{:?}", spec.volumes) };
    assert_eq!((outputs.target.to_str(), outputs.read_only), (Some("/workflow/outputs"), true));
    assert!(!outputs.source.starts_with(&shared.source), "actions cannot write what they are given");
    assert_eq!((shared.target.to_str(), shared.read_only), (Some("/workflow"), false));
    assert_eq!((token.target.to_str(), token.read_only), (Some("/run/bootcode/token"), true));
    assert_eq!(std::fs::read_to_string(&token.source).unwrap(), "t");
    assert!(!shared.source.exists() && !outputs.source.exists(), "shared files go with their workflow");
}

#[tokio::test(start_paused = true)]
async fn an_action_has_its_secrets_and_its_log_has_them_masked() {
    let dir = tempfile::tempdir().unwrap();
    let (service, runtime) = (FakeService::new(1, Trouble::Secretive), FakeRuntime::new());
    assert_eq!(work(&service, &runtime, dir.path()).await, Ending::Stopped);
    let spec = runtime.specs().remove(0);
    assert_eq!(spec.secrets["S"].reveal(), "swordfish");
    assert!(!format!("{spec:?}").contains("swordfish"));
    assert_eq!(service.log_of(0), "action 0: grün\nit is ***\n");
}

#[tokio::test(start_paused = true)]
async fn what_an_action_leaves_is_reported_and_given_to_those_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (service, runtime) = (FakeService::new(3, Trouble::None), FakeRuntime::new());
    assert_eq!(work(&service, &runtime, dir.path()).await, Ending::Stopped);
    let left: Vec<_> =
        service.reports().iter().map(|r| r.outputs.as_ref().unwrap()["from"].clone()).collect();
    assert_eq!(left, [0, 1, 2]);
    let expected: [&[&str]; 3] = [&[], &["action-0.json"], &["action-0.json", "action-1.json"]];
    assert_eq!(runtime.earlier(), expected);
}
