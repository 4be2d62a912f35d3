//! Templates: the article's, faults with their places, and bounds.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{document::Hardware, workflow::MachineAction};

const ARTICLE: &str = r#"version: '0.1'
name: ubuntu_provisioning
global_timeout: 6000
tasks:
- name: "os-installation"
  worker: "{{.device_1}}"
  volumes:
    - /dev:/dev
    - /dev/console:/dev/console
    - /lib/firmware:/lib/firmware:ro
  actions:
  - name: "disk-wipe"
    image: disk-wipe:v3
    timeout: 90
  - name: "disk-partition"
    image: disk-partition:v3
    timeout: 600
    environment:
      MIRROR_HOST: 192.168.2.2
    volumes:
      - /statedir:/statedir
  - name: "install-root-fs"
    image: install-root-fs:v3
    timeout: 600
    environment:
      MIRROR_HOST: 192.168.2.3
  - name: "install-grub"
    image: install-grub:v3
    timeout: 600
    environment:
      MIRROR_HOST: 192.168.2.3
    volumes:
      - /statedir:/statedir
"#;

fn machine() -> Hardware {
    let spec = json!({
        "interfaces": [{"id": "nic0", "mac": "52:54:00:00:00:01", "network": "lab", "ip": "192.168.99.11", "netboot": true}],
        "storage": {"disks": [{"id": "a", "device": "/dev/nvme0n1"}, {"id": "k", "device": "/dev/vdb", "keep": true}]},
        "userData": "password: hunter2",
    });
    Hardware {
        name: "node-1".into(),
        labels: BTreeMap::new(),
        spec: crate::document::merge("node-1", None, &spec).unwrap(),
    }
}

pub(super) fn compiled(source: &str, map: &[(&str, &str)]) -> Result<WorkflowSpec, crate::yaml::Faults> {
    let map = map.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let resolve = |text: &str| match text {
        "52:54:00:00:00:01" | "node-1" => Some("node-1".to_owned()),
        "node-2" => Some("node-2".to_owned()),
        _ => None,
    };
    compile("t", source, &TemplateData::new(&machine(), &map, &resolve))
}

#[test]
fn a_secret_is_no_empty_text() {
    let mut machine = machine();
    machine.spec.user_data = serde_json::from_value(json!({"secretRef": "site/user-data"})).unwrap();
    let data = TemplateData::new(&machine, &BTreeMap::new(), &|_| None).values;
    let render = |source| GoTemplate::default().render(source, &data);
    let error = render("a\n{{ .Hardware.UserData }}").unwrap_err().to_string();
    assert!(error.contains("UserData"), "{error}");
    assert_eq!(render("{{ .Hardware.VendorData }}").unwrap(), "");
}

fn rendered(source: &str) -> Result<String, RenderError> {
    let data = TemplateData::new(&machine(), &BTreeMap::new(), &|_| None).values;
    GoTemplate::default().render(source, &data)
}

#[test]
fn the_article_s_template_compiles() {
    let spec = compiled(ARTICLE, &[]).unwrap();
    assert_eq!((spec.name.as_str(), spec.global_timeout_s), ("ubuntu_provisioning", 6000));
    assert_eq!((spec.on_success, spec.on_failure), (MachineAction::Reboot, MachineAction::Stay));
    let actions: Vec<_> =
        spec.actions().map(|(_, a)| (a.name.as_str(), a.image.as_str(), a.timeout_s)).collect();
    assert_eq!(
        actions,
        [
            ("disk-wipe", "disk-wipe:v3", Some(90)),
            ("disk-partition", "disk-partition:v3", Some(600)),
            ("install-root-fs", "install-root-fs:v3", Some(600)),
            ("install-grub", "install-grub:v3", Some(600)),
        ]
    );
    let (task, action) = spec.actions().nth(1).unwrap();
    assert_eq!(task.worker, "node-1");
    let volumes =
        ["/dev:/dev", "/dev/console:/dev/console", "/lib/firmware:/lib/firmware:ro", "/statedir:/statedir"];
    assert_eq!(action.volumes, volumes);
    assert_eq!(action.environment["MIRROR_HOST"], "192.168.2.2".into());
    assert!(action.writes_disks());
}

#[test]
fn the_map_names_machines_and_actions_override_their_task() {
    let source = "
version: 0.1
name: n
global_timeout: 10
on-success: poweroff
tasks:
- name: t
  worker: '{{.device_1}}'
  environment: {A: task, B: task}
  actions:
  - {name: a, image: x, environment: {A: true, C: 1.0}, retries: 2, on-interrupt: fail, writes: [a], pid: host, on-timeout: [sh]}
";
    let spec = compiled(source, &[("device_1", "node-2")]).unwrap();
    assert_eq!(spec.tasks[0].worker, "node-2");
    let action = &spec.tasks[0].actions[0];
    assert_eq!(
        action.environment,
        [("A", "true"), ("B", "task"), ("C", "1.0")].map(|(k, v)| (k.into(), v.into())).into()
    );
    assert_eq!((action.retries, action.on_interrupt, action.timeout_s), (2, OnInterrupt::Fail, None));
    assert_eq!(action.namespaces.pid.as_deref(), Some("host"));
    assert_eq!(spec.on_success, MachineAction::Poweroff);
}

#[test]
fn a_variable_is_a_text_or_names_a_secret() {
    let source = |variables: &str| {
        format!(
            "version: '0.1'\nname: n\nglobal_timeout: 10\ntasks:\n- name: t\n  worker: '{{{{.device_1}}}}'\n  environment: {{T: {{secretRef: site/task}}, O: {{secretRef: site/own}}}}\n  actions:\n  - name: a\n    image: x\n    environment:\n{variables}"
        )
    };
    let spec =
        compiled(&source("      S: {secretRef: site/token}\n      O: text\n      N: 1.0\n"), &[]).unwrap();
    let secrets: Vec<_> = spec.tasks[0].actions[0].secrets().map(|(n, r)| format!("{n}={r}")).collect();
    assert_eq!(secrets, ["S=site/token", "T=site/task"]);
    let json = serde_json::to_value(&spec.tasks[0].actions[0].environment).unwrap();
    assert_eq!(json["S"], serde_json::json!({"secretRef": "site/token"}));
    assert_eq!((&json["O"], &json["N"]), (&"text".into(), &"1.0".into()));
    let faults = source("      A: {secretRef: token}\n      B: {secret: a/b}\n      C: [x]\n      D: {}\n");
    insta::assert_snapshot!(compiled(&faults, &[]).unwrap_err(), @"
    t:12:22: tasks[0].actions[0].environment.A.secretRef: `token`: a secret is named by its Secret document and one of its keys: write document/key
    t:13:10: tasks[0].actions[0].environment.B: the key `secretRef` is missing
    t:13:11: tasks[0].actions[0].environment.B: unknown key `secret`; known are secretRef
    t:14:10: tasks[0].actions[0].environment.C: expected text or a mapping, found a list
    t:15:10: tasks[0].actions[0].environment.D: the key `secretRef` is missing
    ");
}

#[test]
fn every_fault_of_a_template_is_listed_with_its_place() {
    let source = "version: '0.2'
name: n
global_timeout: 0
task_timeout: 5
tasks:
- name: t
  worker: ''
  volumes: [statedir:/statedir, /a:/b:rx, /a]
  actions:
  - name: a
    image: Disk-Wipe:v3
    timeout: 0
    retires: 3
  - name: a
    image: x
    timeout: 90s
    namespaces: {network: bridge}
    writes: [a, k, b]
- name: t
  worker: node-9
  actions: []
";
    let faults = compiled(source, &[]).unwrap_err();
    insta::assert_snapshot!(faults, @r#"
    t:1:10: version: `0.2` is no known version of templates: write '0.1'
    t:3:17: global_timeout: a workflow needs some seconds: write at least 1
    t:4:1: unknown key `task_timeout`; known are version, name, id, global_timeout, tasks, on-success, on-failure
    t:7:11: tasks[0].worker: a task needs its `worker`: write "{{.device_1}}"
    t:8:13: tasks[0].volumes[0]: `statedir:/statedir` is no volume: both paths are absolute and go without `..`
    t:8:33: tasks[0].volumes[1]: `/a:/b:rx` is no volume: its options are some of ro, rw, z, Z, private, rprivate, shared, rshared, rslave
    t:8:43: tasks[0].volumes[2]: `/a` is no volume: write source:target, or source:target:ro
    t:11:12: tasks[0].actions[0].image: `Disk-Wipe:v3` is no image: write a name in lower case, as in disk-wipe:v3 or registry.example/team/disk-wipe:v3
    t:12:14: tasks[0].actions[0].timeout: an action needs some seconds: write at least 1, or leave it out for the rest of global_timeout
    t:13:5: tasks[0].actions[0]: unknown key `retires` (did you mean `retries`?)
    t:14:11: tasks[0].actions[1].name: two actions are called `a`; names are unique in a workflow
    t:16:14: tasks[0].actions[1].timeout: expected a whole number, found `90s`
    t:17:27: tasks[0].actions[1].namespaces.network: only `host` can be shared
    t:18:17: tasks[0].actions[1].writes[1]: the machine has no writable disk `k`; known are a
    t:18:20: tasks[0].actions[1].writes[2]: the machine has no writable disk `b`; known are a
    t:19:9: tasks[1].name: two tasks are called `t`; names are unique in a workflow
    t:20:11: tasks[1].worker: `node-9` is no declared machine, neither by name nor by MAC
    t:21:12: tasks[1].actions: a task has at least one action
    "#);
}

#[test]
fn faults_of_rendering_name_line_and_column() {
    let cases = [
        "a\n{{ if .device_1 }}b",
        "a\n  {{ end }}",
        "{{ if .device_1 }}a{{ else }}b{{ else }}c{{ end }}",
        "{{ define \"x\" }}{{ else }}{{ end }}",
        "{{ break }}",
        "a\n{{ .device_1",
        "{{ \"a\n\" }}",
        "{{ /* a }}",
        "a {{ uppper .device_1 }}",
        "{{ $disk := 1 }}{{ $dsik }}",
        "{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}",
        "{{ template \"x\" }}",
        "name: n\nworker: {{ .device_2 }}",
        "{{ if true }}\n{{ .hardware.spec.nothing }}{{ end }}",
        "a\n{{ index .Hardware.Disks 7 }}",
        "\n\n{{ b64dec .hardware.spec.userData }}",
        "{{ lower 1 2 }}",
        "{{ .hardware.metadata.name.x }}",
        "{{ range 10 }}{{ end }}{{ .hardware | addd 1 }}",
        "{{ netmaskToPrefixLength \"255.0.255.0\" }}",
        "{{ fail \"x\" }}",
    ];
    let lines: Vec<String> = cases
        .iter()
        .map(|source| {
            let fault = rendered(source).expect_err(source).into_fault("t");
            assert!(!fault.to_string().contains("hunter2"), "{fault}");
            format!("{source:?}\n    {fault}")
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    "a\n{{ if .device_1 }}b"
        t:2:4: this `if` has no `{{end}}`
    "a\n  {{ end }}"
        t:2:6: this `end` closes nothing
    "{{ if .device_1 }}a{{ else }}b{{ else }}c{{ end }}"
        t:1:34: a second `else` in one block
    "{{ define \"x\" }}{{ else }}{{ end }}"
        t:1:20: a `define` has no `else`
    "{{ break }}"
        t:1:4: this `break` stands outside of every `range`
    "a\n{{ .device_1"
        t:2:1: these braces have no `}}`
    "{{ \"a\n\" }}"
        t:1:4: this text has no end on its line
    "{{ /* a }}"
        t:1:4: this comment has no end: `*/`
    "a {{ uppper .device_1 }}"
        t:1:6: there is no function `uppper` (did you mean `upper`?)
    "{{ $disk := 1 }}{{ $dsik }}"
        t:1:20: there is no variable `$dsik` here (did you mean `$disk`?)
    "{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}"
        t:1:39: there is no variable `$x` here
    "{{ template \"x\" }}"
        t:1:4: no template is called `x`
    "name: n\nworker: {{ .device_2 }}"
        t:2:12: there is no `device_2` in the data; names with other signs than letters and digits need `index` (did you mean `device_1`?)
    "{{ if true }}\n{{ .hardware.spec.nothing }}{{ end }}"
        t:2:4: there is no `nothing` in the data; names with other signs than letters and digits need `index`
    "a\n{{ index .Hardware.Disks 7 }}"
        t:2:4: `index`: this place is behind the end; there are 2
    "\n\n{{ b64dec .hardware.spec.userData }}"
        t:3:4: `b64dec`: this is no base64
    "{{ lower 1 2 }}"
        t:1:4: `lower` was given 2 values; it takes: lower TEXT
    "{{ .hardware.metadata.name.x }}"
        t:1:4: a string has no fields; `.x` is asked of it
    "{{ range 10 }}{{ end }}{{ .hardware | addd 1 }}"
        t:1:39: there is no function `addd` (did you mean `add`?)
    "{{ netmaskToPrefixLength \"255.0.255.0\" }}"
        t:1:4: `netmaskToPrefixLength`: this netmask has a gap
    "{{ fail \"x\" }}"
        t:1:4: the template gave up: x
    "#);
}

#[test]
fn faults_behind_loops_and_branches_have_the_template_s_lines() {
    let source = "version: '0.1'
{{- /* a comment
of two lines */}}
name: n
global_timeout: 10
tasks:
{{- if false }}
- name: never
{{- end }}
- name: t
  worker: node-1
  actions:
{{- range .Hardware.Disks }}
  - name: {{ . | replace \"/\" \"-\" }}
    image: x
{{ end }}
  - name: last
    image: X
{{ toYaml .Hardware.Disks | replace \"/\" \"x\" | replace \"- \" \"    # \" }}
    retires: 1
";
    let faults = compiled(source, &[]).unwrap_err();
    insta::assert_snapshot!(faults, @r"
    t:18:12: tasks[0].actions[2].image: `X` is no image: write a name in lower case, as in disk-wipe:v3 or registry.example/team/disk-wipe:v3
    t:20:5: tasks[0].actions[2]: unknown key `retires` (did you mean `retries`?)
    ");
}

#[test]
fn what_only_the_rendering_brought_in_is_never_repeated() {
    let head =
        "version: '0.1'\nname: n\nglobal_timeout: 10\ntasks:\n- name: t\n  worker: node-1\n  actions:\n";
    for action in [
        "  - {name: a, image: x, timeout: '{{.hardware.spec.userData}}'}\n",
        "  - {name: a, image: '{{.hardware.spec.userData}}'}\n",
        "  - {name: a, image: x, '{{.hardware.spec.userData}}': b}\n",
        "  - {name: a, image: x, {{.hardware.spec.userData}}, {{.hardware.spec.userData}}}\n",
        "  - {name: a, image: x, volumes: ['{{.hardware.spec.userData}}']}\n",
        "  - {name: a, image: x, on-interrupt: '{{.hardware.spec.userData}}'}\n",
        "  - {name: a, image: x, writes: ['{{.hardware.spec.userData}}']}\n",
        "  - {name: a, image: x, retries: {{.hardware.spec.userData}}}\n",
        "  - [{name: a, image: x, {{.hardware.spec.userData}}\n",
        "- name: t\n  worker: '{{.hardware.spec.userData}}'\n  actions: []\n",
        "  - {{.hardware.spec.userData}}\n  - {{ .hardware.spec.userData | b64dec }}\n",
    ] {
        let faults = compiled(&format!("{head}{action}"), &[]).expect_err(action).to_string();
        assert!(!faults.contains("hunter2"), "{action}: {faults}");
    }
}

#[test]
fn templates_of_tinkerbell_see_its_words_and_go_s_names() {
    let mut machine = machine();
    machine.spec.tinkerbell = Some(Box::new(json!({
        "interfaces": [{"dhcp": {"mac": "52:54:00:00:00:01", "lease_time": 60, "vlan_id": "7", "ip": {"address": "10.0.0.5", "netmask": "255.255.255.0", "gateway": "10.0.0.1"}}, "netboot": {"allowPXE": true}}],
        "metadata": {"instance": {"id": "i-7", "operating_system": {"slug": "debian"}}},
        "disks": [{"device": "/dev/sda"}],
    })));
    let references = json!({"site": {"metadata": {"name": "s"}, "spec": {"x": 1}}});
    let data = TemplateData::new(&machine, &BTreeMap::new(), &|_| None)
        .in_networks(&machine, &|_| None)
        .referring(references.as_object().unwrap().clone());
    for (source, expected) in [
        (
            "{{ .hardware.spec.metadata.instance.id }} {{ (index .hardware.spec.disks 0).device }}",
            "i-7 /dev/sda",
        ),
        ("{{ .hardware.metadata.name }} {{ .references.site.spec.x }}", "node-1 1"),
        (
            "{{ $d := (index .Hardware.Interfaces 0).DHCP }}{{ $d.IP.Address }}/{{ netmaskToPrefixLength $d.IP.Netmask }} {{ $d.IP.Gateway }} {{ $d.VLANID }} {{ $d.LeaseTime }}",
            "10.0.0.5/24 10.0.0.1 7 60",
        ),
        (
            "{{ (index .Hardware.Interfaces 0).DHCP.Hostname }}|{{ (index .Hardware.Interfaces 0).Netboot.AllowPXE }}",
            "|true",
        ),
        (
            "{{ .Hardware.Metadata.Instance.ID }} {{ .Hardware.Metadata.Instance.OperatingSystem.Slug }}",
            "i-7 debian",
        ),
    ] {
        assert_eq!(GoTemplate::default().render(source, &data.values).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn functions_take_their_arguments_in_sprig_s_order() {
    for (source, expected) in [
        ("{{ formatPartition \"/dev/sda\" 1 }}", "/dev/sda1"),
        ("{{ formatPartition (index .Hardware.Disks 0) 2 }}", "/dev/nvme0n1p2"),
        ("{{ formatPartition \"/dev/disk/by-id/x\" 3 }}", "/dev/disk/by-id/x-part3"),
        (
            "{{ contains \"54\" .device_1 }}{{ hasPrefix \"54\" .device_1 }}{{ hasSuffix \":01\" .device_1 }}",
            "truefalsetrue",
        ),
        ("{{ .device_1 | replace \":\" \"-\" | upper }}", "52-54-00-00-00-01"),
        ("{{ default \"x\" \"\" }}{{ \"y\" | default \"x\" }}", "xy"),
        ("{{ join \",\" .Hardware.Disks }}", "/dev/nvme0n1,/dev/vdb"),
        ("{{ b64enc \"a\" }}{{ b64dec \"YQ==\" }}{{ trim \" a \" }}{{ quote \"a\" }}", "YQ==aa\"a\""),
        ("{{ netmaskToPrefixLength \"255.255.255.0\" }}", "24"),
        ("{{ toYaml .hardware.metadata }}", "labels: {}\nname: node-1"),
        ("{{ printf \"%s-%03d\" \"a\" 7 }}{{ print 1 2 }}", "a-0071 2"),
        ("{{ (index .Hardware.Interfaces 0).DHCP.IP.Address }}", "192.168.99.11"),
        ("{{ .hardware.spec.hostname | default .hardware.metadata.name }}", "node-1"),
        ("a\n{{- /* c\n */}}\nb\n{{/* d */ -}}\n c{{/**/}}", "a\nb\nc"),
        ("{{- /* c }} */ -}} a{{ if eq .device_1 \"x\" }}b{{ else if true }}c{{ else }}d{{ end }}", "ac"),
        ("{{ range $i, $d := .Hardware.Disks }}{{ $i }}{{ if $i }}{{ break }}{{ end }}{{ end }}", "01"),
        (
            "{{ with $x := \"a\" }}{{ $x }}{{ end }}{{ define \"d\" }}<{{ . }}>{{ end }}{{ template \"d\" 1 }}",
            "a<1>",
        ),
        ("{{ `}}` }}{{ \"\\\"}}\" }}{{ '\"' }}", "}}\"}}34"),
    ] {
        assert_eq!(rendered(source).as_deref(), Ok(expected), "{source}");
    }
}

proptest! {
    #[test]
    fn any_text_after_the_version_is_refused_or_read_without_a_panic(tail in "\\PC{0,120}") {
        let _ = compiled(&format!("version: '0.1'\nname: n\n{tail}"), &[]);
    }
}
