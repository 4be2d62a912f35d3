//! What installers ask for: kickstart, preseed and autoinstall files.

use std::{io::Write as _, process::Stdio};

use bootcode_core::{
    document::MetadataIdentity,
    session::Use,
    timeline::{BootEventKind, Reason, Subject},
};
use serde_json::{Value, json};

use super::{
    NODE_1, NODE_2,
    site::{NOW, World, forged_token, token},
};

const KICKSTART: &str = "# of {{ .hardware.metadata.name }}, instance {{ .Hardware.Metadata.Instance.ID }}, {{ now | date \"2006-01-02\" }}
text
lang en_US.UTF-8
keyboard us
timezone --utc Etc/UTC
{{- with index .Hardware.Interfaces 0 }}
network --device={{ .DHCP.MAC }} --bootproto=static --ip={{ .DHCP.IP.Address }} --netmask={{ .DHCP.IP.Netmask }} --gateway={{ .DHCP.IP.Gateway }} --nameserver={{ join \",\" .DHCP.NameServers }} --hostname={{ .DHCP.Hostname }}
{{- end }}
rootpw --lock
{{- range .hardware.spec.sshKeys }}
sshkey --username=root {{ quote . }}
{{- end }}
{{- range .Hardware.Disks }}
ignoredisk --only-use={{ base . }}
{{- end }}
clearpart --all --initlabel
autopart
reboot
%packages
@core
%end
";
const PRESEED: &str = "d-i debian-installer/locale string en_US.UTF-8
d-i netcfg/choose_interface select auto
d-i netcfg/get_hostname string {{ .hardware.spec.hostname }}
d-i partman-auto/disk string {{ index .Hardware.Disks 0 }}
d-i passwd/root-login boolean false
tasksel tasksel/first multiselect standard, ssh-server
";
const AUTOINSTALL: &str = "#cloud-config
autoinstall:
  version: 1
  identity: {hostname: {{ quote .hardware.spec.hostname }}, username: owner, password: \"!\"}
  ssh: {install-server: true, authorized-keys: {{ toJson .hardware.spec.sshKeys }}}
  storage: {layout: {name: direct, match: {path: {{ index .Hardware.Disks 0 | quote }}}}}
";

fn machine() -> Value {
    json!({
        "hostname": "web-1",
        "interfaces": [{"id": "nic0", "mac": "52:54:00:00:00:01", "network": "lab", "ip": "192.168.99.11", "netboot": true}],
        "storage": {"disks": [{"id": "a", "device": "/dev/vda"}]},
        "sshKeys": ["ssh-ed25519 AAAA owner"],
        "userData": {"secretRef": "site/init"},
        "instance": {"install": {
            "ks.cfg": KICKSTART, "preseed.cfg": PRESEED, "user-data": AUTOINSTALL,
            "broken.cfg": "hunter2 {{ .hardware.spec.hostname }} {{ .Hardware.UserData }}",
        }},
    })
}

fn world() -> World {
    World::with_instance("node-1", machine(), "i-node-1-1-6b49d200")
}

fn good() -> String {
    token("node-1", Use::Instance, NOW + 60)
}

#[tokio::test]
async fn an_installer_s_files_are_rendered_for_the_machine_that_asks() {
    let world = world();
    let mut table = String::new();
    for file in ["", "ks.cfg", "preseed.cfg", "user-data", "meta-data", "network-config"] {
        let path = format!("/install/{file}");
        let by_address = world.get(NODE_1, &path, None).await;
        assert_eq!(
            (by_address.status.as_u16(), by_address.cache_control.as_str()),
            (200, "no-store"),
            "{file}"
        );
        if !file.is_empty() {
            assert_eq!(world.recorded.last(), Some(BootEventKind::MetadataFetched { path: path.clone() }));
        }
        let by_token = world.get("10.0.0.1", &format!("/install/t/{}/{file}", good()), None).await;
        let by_header = world.get("10.0.0.1", &path, Some(&good())).await;
        assert_eq!((&by_token.body, &by_header.body), (&by_address.body, &by_address.body), "{file}");
        table += &format!("== GET {path}\n{}", by_address.body);
    }
    insta::assert_snapshot!("install", table);
    let listing = world.get(NODE_1, "/install", None).await;
    assert_eq!(listing.body, "broken.cfg\nks.cfg\npreseed.cfg\nuser-data\n");
}

#[tokio::test]
async fn a_file_that_cannot_be_rendered_says_so_to_its_owner_alone() {
    let world = world();
    for token in [None, Some(good())] {
        let answer = world.get(NODE_1, "/install/broken.cfg", token.as_deref()).await;
        assert_eq!((answer.status.as_u16(), answer.body), (500, format!("{}\n", Reason::NotRendered)));
        let path = "/install/broken.cfg".to_owned();
        assert_eq!(
            world.recorded.last_event().map(|event| (event.subject, event.kind)),
            Some((
                Subject::Hardware("node-1".into()),
                BootEventKind::Refused { file: path, reason: Reason::NotRendered }
            )),
            "in the timeline of the machine"
        );
    }
    assert!(!world.recorded.text().contains("hunter2"));
}

#[tokio::test]
async fn who_may_not_gets_none_of_them() {
    let other = token("node-2", Use::Instance, NOW + 60);
    for path in ["/install/", "/install/ks.cfg", "/install/meta-data"] {
        let world = world();
        for (what, peer, token, status) in [
            ("forged", NODE_1, Some(forged_token("node-1")), 403),
            ("a boot's", NODE_1, Some(token("node-1", Use::Boot, NOW + 60)), 403),
            ("of a machine that is gone", NODE_2, Some(other.clone()), 404),
            ("no machine's address", NODE_2, None, 404),
        ] {
            let answer = world.get(peer, path, token.as_deref()).await;
            assert_eq!(answer.status, status, "{path}: {what}");
            assert!(world.recorded.last_refusal().is_some(), "{path}: {what}");
            if let Some(token) = token {
                let in_path = path.replace("/install/", &format!("/install/t/{token}/"));
                assert_eq!(world.get(peer, &in_path, None).await.status, status, "{in_path}: {what}");
            }
        }
    }
    let strict = World::new(MetadataIdentity::Token);
    assert_eq!(strict.get(NODE_1, "/install/", None).await.status, 403);
}

#[tokio::test]
async fn what_is_not_declared_is_not_there_and_in_no_timeline() {
    let world = world();
    for name in ["ks", "ks.cfg/", "t", "..", "%2e%2e", "vendor.cfg", "KS.CFG"] {
        assert_eq!(world.get(NODE_1, &format!("/install/{name}"), None).await.status, 404, "{name}");
    }
    assert_eq!(world.recorded.text(), "");
    // A seed has what cloud-init asks for besides; what is a secret stays one.
    let vendor = world.get(NODE_1, "/install/vendor-data", Some(&good())).await;
    assert_eq!(vendor.status, 200);
    // Without user data among the files there is no seed, and without files there is nothing.
    let mut spec = machine();
    spec["instance"]["install"].as_object_mut().unwrap().remove("user-data");
    let world = World::with_machine("node-1", spec);
    assert_eq!(world.get(NODE_1, "/install/meta-data", None).await.status, 404);
    let world = World::new(MetadataIdentity::Address);
    for path in ["/install", "/install/", "/install/ks.cfg", "/install/meta-data"] {
        assert_eq!(world.get(NODE_1, path, None).await.status, 404, "{path}");
    }
}

/// Debian's own reader of preseed files, which every Debian has.
#[tokio::test]
async fn debconf_takes_the_preseed_file() {
    let text = world().get(NODE_1, "/install/preseed.cfg", None).await.body;
    let check = |text: &str| {
        let mut checker = std::process::Command::new("debconf-set-selections")
            .arg("--checkonly")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        checker.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = checker.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(check(&text), (true, String::new()), "{text}");
    let (good, complaint) =
        check(&text.replace("d-i passwd/root-login boolean", "d-i passwd/root-login bool"));
    assert!(!good || !complaint.is_empty(), "it looks at all");
}

/// Anaconda's own reader of kickstart files, of its releases that are maintained. Runs where `BOOTCODE_PYKICKSTART` is the directory with it
/// (`cargo xtask test` fetches it).
#[tokio::test]
async fn pykickstart_takes_the_kickstart_file() {
    let Some(dir) = std::env::var_os("BOOTCODE_PYKICKSTART").map(std::path::PathBuf::from) else {
        eprintln!("not run: BOOTCODE_PYKICKSTART is not set");
        return;
    };
    let text = world().get(NODE_1, "/install/ks.cfg", None).await.body;
    let check = |text: &str, release: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut validator = std::process::Command::new("python3");
        validator.arg(dir.join("bin/ksvalidator")).args(["--version", release]).arg(file.path());
        let output = validator.env("PYTHONPATH", &dir).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), said)
    };
    for release in ["RHEL8", "RHEL9", "RHEL10", "F44"] {
        let (good, said) = check(&text, release);
        assert!(good, "{release}: {said}{text}");
        for (right, wrong, complaint) in [
            ("autopart", "autoprat", "Unknown command: autoprat"),
            ("--bootproto=", "--bootproot=", "unrecognized arguments: --bootproot=static"),
            ("@core\n%end\n", "@core\n", "%end"),
        ] {
            let (good, said) = check(&text.replace(right, wrong), release);
            assert!(!good && said.contains(complaint), "{release} takes `{wrong}` for `{right}`: {said}");
        }
    }
}

#[tokio::test]
async fn the_autoinstall_file_is_yaml_of_what_subiquity_reads() {
    let text = world().get(NODE_1, "/install/user-data", None).await.body;
    assert!(text.starts_with("#cloud-config\n"));
    let nodes = bootcode_core::yaml::parse_documents("user-data", &text).unwrap();
    let value = nodes[0].to_json();
    assert_eq!(value["autoinstall"]["version"], 1);
    assert_eq!(value["autoinstall"]["identity"]["hostname"], "web-1");
    assert_eq!(value["autoinstall"]["ssh"]["authorized-keys"], json!(["ssh-ed25519 AAAA owner"]));
}
