//! The OCI runtime specification of an action's container: privileged, the host's network, its volumes.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    super::{ContainerSpec, RuntimeError, capability::capabilities},
    image_config::ImageConfig,
};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the bundle needs to know of the machine.
#[derive(Debug, Clone)]
pub(super) struct Host {
    /// Whether there is an `/etc/resolv.conf` to share.
    pub(super) resolver: bool,
    /// What a privileged container can get: all that the worker itself has.
    pub(super) capabilities: Vec<&'static str>,
}

impl Host {
    pub(super) fn look() -> Self {
        Self { resolver: Path::new("/etc/resolv.conf").is_file(), capabilities: capabilities() }
    }
}

/// `config.json` of the bundle.
pub(super) fn config(spec: &ContainerSpec, image: &ImageConfig, host: &Host) -> Result<Value, RuntimeError> {
    let command = if spec.command.is_empty() { &image.command } else { &spec.command };
    let args: Vec<&String> = image.entrypoint.iter().chain(command).collect();
    if args.is_empty() {
        let message = format!("{} has no entry point and the action has no command", spec.image);
        return Err(RuntimeError::Start { message });
    }
    let (uid, gid) = user(&image.user).ok_or_else(|| RuntimeError::Start {
        message: format!(
            "the user `{}` of {} is a name: give its number in the image",
            image.user, spec.image
        ),
    })?;
    let directory = if image.directory.is_empty() { "/" } else { &image.directory };
    let capabilities = json!(host.capabilities);
    let mut namespaces = vec![json!({"type": "mount"}), json!({"type": "ipc"})];
    if spec.namespaces.pid.as_deref() != Some("host") {
        namespaces.push(json!({"type": "pid"}));
    }
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": uid, "gid": gid},
            "args": args,
            "env": environment(spec, image),
            "cwd": directory,
            "noNewPrivileges": false,
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "inheritable": capabilities,
                "permitted": capabilities, "ambient": capabilities,
            },
        },
        "root": {"path": "rootfs", "readonly": false},
        "mounts": mounts(spec, host),
        "linux": {
            "cgroupsPath": format!("/bootcode/{}", spec.name),
            "namespaces": namespaces,
            "resources": {"devices": [{"allow": true, "access": "rwm"}]},
            "rootfsPropagation": "rprivate",
        },
    }))
}

/// The image's variables, those of the same name replaced by the action's.
fn environment(spec: &ContainerSpec, image: &ImageConfig) -> Vec<String> {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let mut all: Vec<String> = Vec::new();
    if !image.environment.iter().any(|variable| variable.starts_with("PATH=")) {
        all.push(PATH.to_owned());
    }
    all.extend(image.environment.iter().cloned());
    all.retain(|variable| !spec.sets(&name(variable)));
    all.extend(spec.variables());
    all
}

fn mounts(spec: &ContainerSpec, host: &Host) -> Vec<Value> {
    // By rbind, so that cgroup2 and the firmware's variables come along.
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]}),
        json!({"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", "rprivate", "rw"]}),
    ];
    if !spec.volumes.iter().any(|volume| volume.target == Path::new("/dev")) {
        mounts.extend([
            json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                   "options": ["nosuid", "strictatime", "mode=755", "size=64k"]}),
            json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                   "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]}),
            json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                   "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=16m"]}),
        ]);
    }
    if host.resolver {
        mounts.push(json!({"destination": "/etc/resolv.conf", "type": "bind", "source": "/etc/resolv.conf",
                           "options": ["bind", "rprivate", "ro"]}));
    }
    mounts.extend(spec.volumes.iter().map(|volume| {
        let access = if volume.read_only { "ro" } else { "rw" };
        json!({"destination": volume.target, "type": "bind", "source": volume.source,
               "options": ["rbind", "rprivate", access]})
    }));
    mounts
}

/// Numbers of `uid[:gid]`; nobody and `root` are root.
fn user(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| if text == "root" { Some(0) } else { text.parse().ok() };
    match text.split_once(':') {
        None if text.is_empty() => Some((0, 0)),
        None => Some((number(text)?, 0)),
        Some((user, group)) => Some((number(user)?, number(group)?)),
    }
}

#[cfg(test)]
mod tests {
    use bootcode_core::{secret::Secret, workflow::Namespaces};

    use super::*;
    use crate::{
        agent::AttemptKey,
        runtime::{ContainerName, ImageRef, Volume},
    };

    fn spec() -> ContainerSpec {
        let key = AttemptKey { workflow: "install node/1".into(), index: 2, attempt: 1 };
        ContainerSpec {
            name: ContainerName::of(&key, false),
            workflow: key.workflow,
            image: ImageRef { name: "wipe:v3".into(), digest: None },
            command: vec![],
            environment: [("A".to_owned(), "action".to_owned())].into(),
            secrets: [("S".to_owned(), Secret::new("hidden".to_owned()))].into(),
            volumes: vec![Volume::parse("/dev:/dev").unwrap(), Volume::parse("/a:/b:ro").unwrap()],
            namespaces: Namespaces::default(),
        }
    }

    fn host(resolver: bool) -> Host {
        Host { resolver, capabilities: vec!["CAP_CHOWN"] }
    }

    fn image() -> ImageConfig {
        ImageConfig {
            environment: vec!["A=image".into(), "B=image".into(), "S=image".into()],
            entrypoint: vec!["/entry".into()],
            command: vec!["default".into()],
            ..ImageConfig::default()
        }
    }

    #[test]
    fn the_entry_point_stays_and_the_command_replaces_the_images() {
        let host = host(false);
        let args = |command: &[&str]| {
            let spec = ContainerSpec { command: command.iter().map(ToString::to_string).collect(), ..spec() };
            config(&spec, &image(), &host).unwrap()["process"]["args"].clone()
        };
        assert_eq!(args(&[]), json!(["/entry", "default"]));
        assert_eq!(args(&["x", "y"]), json!(["/entry", "x", "y"]));
        assert!(
            config(&spec(), &ImageConfig::default(), &host).unwrap_err().to_string().contains("entry point")
        );
    }

    #[test]
    fn the_actions_variables_replace_the_images() {
        let config = config(&spec(), &image(), &host(false)).unwrap();
        assert_eq!(config["process"]["env"], json!([PATH, "B=image", "A=action", "S=hidden"]));
    }

    #[test]
    fn dev_is_the_hosts_only_when_a_volume_says_so() {
        let kind = |spec: &ContainerSpec| {
            let config = config(spec, &image(), &host(true)).unwrap();
            let mounts = config["mounts"].as_array().unwrap().clone();
            let dev: Vec<_> = mounts.iter().filter(|mount| mount["destination"] == "/dev").collect();
            assert_eq!(dev.len(), 1);
            dev[0]["type"].clone()
        };
        assert_eq!(kind(&spec()), "bind");
        assert_eq!(kind(&ContainerSpec { volumes: vec![], ..spec() }), "tmpfs");
    }

    #[test]
    fn the_pid_namespace_is_shared_only_when_asked_for() {
        let has_pid = |pid: Option<&str>| {
            let namespaces = Namespaces { pid: pid.map(Into::into), network: None };
            let spec = ContainerSpec { namespaces, ..spec() };
            let config = config(&spec, &image(), &host(false)).unwrap();
            config["linux"]["namespaces"].as_array().unwrap().contains(&json!({"type": "pid"}))
        };
        assert!(has_pid(None));
        assert!(!has_pid(Some("host")));
    }

    #[test]
    fn users_are_numbers_or_root() {
        for (text, expected) in [
            ("", Some((0, 0))),
            ("root", Some((0, 0))),
            ("0:0", Some((0, 0))),
            ("1000", Some((1000, 0))),
            ("1000:100", Some((1000, 100))),
            ("nobody", None),
            ("1:nobody", None),
        ] {
            assert_eq!(user(text), expected, "{text}");
        }
    }
}
