//! The whole worker with a real `crun` and a real Docker engine: the same actions, the same expectations.
//!
//! Needs root, `crun`, `busybox-static`, and an engine on `$DOCKER_HOST` or its socket; runs where
//! `BOOTCODE_REAL_PEERS=1` says that they are there, and then fails without them.

#![allow(clippy::unwrap_used)] // A test that cannot go on is a test that failed.

mod disks;
mod registry;
mod service;

use std::{path::Path, sync::Arc, time::Duration};

use bootcode_core::{
    secret::Secret,
    workflow::{ActionOutputs, Assignment, FailureReason, HookCause, Outcome},
};
use bootcode_worker::{
    agent::Ending,
    driver::{Driver, Parts, Settings},
    hardware::Roots,
    identity::Identity,
    power::HostPower,
    runtime::{
        ContainerRuntime,
        docker::DockerRuntime,
        oci::{OciRuntime, OciSettings},
    },
    spool::Spool,
};
use tokio_util::sync::CancellationToken;

use self::{registry::Registry, service::Script};

fn wanted() -> bool {
    let wanted = std::env::var("BOOTCODE_REAL_PEERS").is_ok_and(|value| value == "1");
    if !wanted {
        eprintln!("skipped: set BOOTCODE_REAL_PEERS=1 on a machine with crun, busybox-static and Docker");
    }
    wanted
}

/// crun takes only a pure cgroup2; where the machine has the older mixture it gets its own view.
fn crun(dir: &Path) -> std::path::PathBuf {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return "/usr/bin/crun".into();
    }
    let path = dir.join("crun-on-cgroup2");
    let script = "#!/bin/sh\nexec unshare -m sh -c 'umount -R /sys/fs/cgroup && mount -t cgroup2 none \
        /sys/fs/cgroup && exec /usr/bin/crun \"$@\"' crun \"$@\"\n";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path
}

async fn work(runtime: Arc<dyn ContainerRuntime>, script: &Arc<Script>, dir: &Path) {
    let stop = CancellationToken::new();
    script.stop_at_end(stop.clone());
    let parts = Parts {
        service: Arc::clone(script) as _,
        runtime,
        power: Arc::new(HostPower),
        spool: Spool::open(dir.join("spool")).unwrap(),
        identity: Identity::of_this_boot("token".into(), dir).unwrap(),
        settings: Settings {
            metadata_url: "http://127.0.0.1:1/metadata".into(),
            state: dir.join("state"),
            // This is somebody's machine: its disks are left alone.
            protect_disks: false,
            roots: Roots::default(),
        },
    };
    let ended = tokio::time::timeout(Duration::from_secs(300), Driver::run(parts, stop)).await;
    assert_eq!(ended.expect("the worker ends").unwrap(), Ending::Stopped);
}

fn shell(index: u32, image: (&str, &str), line: &str) -> Assignment {
    Assignment {
        workflow: format!("real-{}", std::process::id()),
        task: "t".into(),
        action: format!("action-{index}"),
        index,
        attempt: 1,
        image: image.0.into(),
        digest: Some(image.1.into()),
        command: vec!["-c".into(), line.into()],
        environment: [("GREETING".to_owned(), "hello".to_owned())].into(),
        secrets: [("HIDDEN".to_owned(), Secret::new("swordfish".to_owned()))].into(),
        volumes: vec!["/dev:/dev".into()],
        namespaces: Default::default(),
        timeout_ms: 60_000,
        pull_timeout_ms: 60_000,
        on_failure: None,
        on_timeout: None,
        writable: vec![],
        outputs: vec![],
        metadata_token: Secret::new("metadata-secret".to_owned()),
    }
}

/// What every runtime has to do, and what must come of it.
async fn conformance(runtime: Arc<dyn ContainerRuntime>, registry: &Registry, dir: &Path) {
    let plain = ("plain:v1", registry.plain.as_str());
    let layered = ("layered:v1", registry.layered.as_str());
    let missing = format!("sha256:{}", "0".repeat(64));
    let script = Script::new(vec![
        shell(
            0,
            plain,
            "echo $GREETING from $BOOTCODE_ACTION; echo to-stderr >&2; cat $BOOTCODE_TOKEN_FILE; echo; \
             echo kept > /workflow/file; echo '{\"disk\": \"a\"}' > /workflow/outputs.json; test -c /dev/null && test -e /sys/kernel && ls /proc/1 > /dev/null && \
             echo read-only: $(echo x 2>/dev/null > $BOOTCODE_TOKEN_FILE || echo yes); \
             echo secret: ${#HIDDEN} $HIDDEN",
        ),
        Assignment {
            outputs: vec![ActionOutputs {
                task: "t".into(),
                action: "action-0".into(),
                outputs: Arc::new([("disk".to_owned(), "a".into())].into_iter().collect()),
            }],
            ..shell(
                1,
                layered,
                "cat /workflow/file /workflow/outputs/t/action-0.json; \
                 (echo x > /workflow/outputs/t/action-0.json) 2>/dev/null && echo forged; \
                 echo; ln -s /etc/added /workflow/outputs.json; \
                 cat /etc/added; test -e /etc/gone || echo whiteout-works; ls /etc/replaced",
            )
        },
        Assignment {
            on_failure: Some(vec!["-c".into(), "echo the hook speaks".into()]),
            ..shell(2, layered, "echo before; sleep 1; echo 'no such disk' >&2; exit 7")
        },
        Assignment { timeout_ms: 2000, ..shell(3, plain, "echo slow; sleep 600") },
        shell(4, plain, "sh -c 'kill -9 $$'; exit $?"),
        shell(5, ("missing:v1", missing.as_str()), "true"),
        shell(6, ("damaged:v1", registry.damaged.as_str()), "true"),
        Assignment { volumes: vec!["relative:/x".into()], ..shell(7, plain, "true") },
        shell(8, ("no-shell:v1", registry.no_entry.as_str()), "true"),
        shell(9, plain, "dd if=/dev/zero bs=1024 count=300 2>/dev/null | tr '\\0' x; echo; echo end"),
    ]);
    work(runtime, &script, dir).await;
    let log = |index| script.log(index);
    let outcome = |index: usize| script.outcome(index);
    let failure = |index: usize| match outcome(index) {
        Outcome::Failed { reason, exit, message, .. } => (reason, exit, message),
        other => panic!("action {index}: {other:?}, log {}", log(index)),
    };
    assert_eq!(outcome(0), Outcome::Succeeded, "{}", log(0));
    for part in
        ["hello from action-0\n", "to-stderr\n", "metadata-secret", "read-only: yes\n", "secret: 9 ***\n"]
    {
        assert!(log(0).contains(part), "{part} in {}", log(0));
    }
    assert_eq!(script.report(0).outputs.unwrap()["disk"], "a");
    assert_eq!(failure(1).0, FailureReason::Outputs, "a link is no output: {}", log(1));
    assert_eq!(log(1), "kept\n{\"disk\":\"a\"}\nadded\nwhiteout-works\nnew\n");
    assert_eq!(failure(2), (FailureReason::ExitStatus, Some(7), "no such disk".to_owned()));
    assert_eq!(
        script.report(2).hook.map(|hook| (hook.cause, hook.exit)),
        Some((HookCause::OnFailure, Some(0)))
    );
    assert_eq!(script.hooks(), [(2, HookCause::OnFailure)]);
    assert!(log(2).contains("before\n") && log(2).contains("the hook speaks\n"), "{}", log(2));
    assert!(matches!(outcome(3), Outcome::TimedOut { tail } if tail == "slow\n"), "{:?}", outcome(3));
    assert!((2000..20_000).contains(&script.ran_ms(3)), "{}", script.ran_ms(3));
    assert_eq!(failure(4).1, Some(137));
    assert_eq!(failure(5).0, FailureReason::ImagePull);
    assert_eq!(failure(6).0, FailureReason::ImagePull);
    assert_eq!(failure(7).0, FailureReason::ContainerStart);
    assert!(failure(7).2.contains("relative:/x"), "{}", failure(7).2);
    assert_eq!(failure(8).0, FailureReason::ContainerStart);
    assert_eq!(outcome(9), Outcome::Succeeded);
    assert!(log(9).len() > 300 << 10 && log(9).ends_with("x\nend\n"), "{} bytes", log(9).len());
}

#[tokio::test(flavor = "multi_thread")]
async fn crun_runs_actions_from_the_servers_registry() {
    if !wanted() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Overlayfs on overlayfs is refused; OSIE's root is a tmpfs as well.
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let tmpfs = Tmpfs::mount(&state);
    let registry = Registry::start();
    let settings =
        OciSettings { server: registry.url.parse().unwrap(), state: state.clone(), crun: crun(dir.path()) };
    let runtime = Arc::new(OciRuntime::new(settings).unwrap());
    conformance(runtime, &registry, dir.path()).await;
    assert_eq!(std::fs::read_dir(state.join("containers")).unwrap().count(), 0, "no container is left");
    let layers: Vec<_> =
        std::fs::read_dir(state.join("layers")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(layers.len(), 1, "only the last image's layers are kept: {layers:?}");
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&format!("{}/containers", state.display())), "no mount is left");
    drop(tmpfs);
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_runs_the_same_actions() {
    if !wanted() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start();
    let worker = format!("test-{}", std::process::id());
    let server = registry.url.trim_start_matches("http://");
    let runtime = Arc::new(DockerRuntime::connect(server, &worker).await.expect("a Docker engine"));
    conformance(Arc::clone(&runtime) as _, &registry, dir.path()).await;
    let docker = bollard::Docker::connect_with_defaults().unwrap().negotiate_version().await.unwrap();
    let filters: std::collections::HashMap<String, Vec<String>> =
        [("label".to_owned(), vec![format!("dev.bootcode.worker={worker}")])].into();
    let options =
        bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    assert!(docker.list_containers(Some(options)).await.unwrap().is_empty(), "no container is left");
    for (name, digest) in registry.images() {
        let _ = docker
            .remove_image(
                &format!("{server}/{name}@{digest}"),
                None::<bollard::query_parameters::RemoveImageOptions>,
                None,
            )
            .await;
    }
}

/// A tmpfs that goes with the test.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn mount(path: &Path) -> Self {
        let none = None::<&str>;
        nix::mount::mount(Some("tmpfs"), path, Some("tmpfs"), nix::mount::MsFlags::empty(), none)
            .expect("root is needed to mount a tmpfs");
        Self(path.to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}
