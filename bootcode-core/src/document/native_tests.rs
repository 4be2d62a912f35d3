//! Templates in our own words: what they become, and every fault with its place in the file.

use serde_json::json;

use super::*;
use crate::{
    clock::Timestamp,
    template::{OnInterrupt, WorkflowSpec},
    workflow::MachineAction,
};

const MACHINES: &str = "apiVersion: bootcode/v1
kind: Secret
metadata: {name: site}
spec: {keys: {root: {env: ROOT}}}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1, labels: {mirror: 10.0.0.2, token: hunter2, empty: ''}}
spec:
  interfaces: [{id: nic0, mac: 52:54:00:00:00:01}]
  storage: {disks: [{id: a, device: /dev/vda}]}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-2}
spec: {interfaces: [{id: nic0, mac: 52:54:00:00:00:02}]}
---
apiVersion: bootcode/v1
kind: Workflow
metadata: {name: w}
spec: {template: t, hardware: node-1, hardwareMap: {peer: node-2}}
---
";

fn files(template: &str) -> Vec<(&'static str, String)> {
    let head = "apiVersion: bootcode/v1\nkind: Template\nmetadata: {name: t}\nspec:\n";
    vec![("m.yaml", MACHINES.to_owned()), ("t.yaml", format!("{head}{template}"))]
}

fn at() -> Timestamp {
    "2026-11-22T20:00:00Z".parse().unwrap()
}

fn compiled(template: &str) -> Result<WorkflowSpec, Faults> {
    let set = validate(&files(template), &[], Origin::Operator, at())?;
    let catalog = Catalog::new(set.documents()).at(at());
    let workflow = WorkflowDocSpec::from_document(catalog.document(Kind::Workflow, "w").unwrap()).unwrap();
    Ok(catalog.compile(&workflow).unwrap())
}

const ACTIONS: &str = "  globalTimeout: 1h 30m
  environment: {MIRROR: '{{ .hardware.metadata.labels.mirror }}', LEVEL: 1.0}
  volumes: [/dev:/dev]
  actions:
    - name: wipe
      image: disk-wipe:v3
      timeout: 90s
      writes: [a]
    - name: 'seed-{{ .hardware.metadata.name }}'
      image: cloud-init-seed:v3
      timeout: '{{ if .hardware.metadata.labels.empty }}1s{{ else }}2m{{ end }}'
      command: [--disk, '{{ formatPartition (index .Hardware.Disks 0) 1 }}', 7, true]
      environment: {LEVEL: two, ROOT: {secretRef: site/root}, AT: '{{ now | date \"2006\" }}'}
      volumes: ['/statedir:/statedir:ro']
      namespaces: {network: host}
      retries: 3
      onInterrupt: fail
      onFailure: [sh, -c, 'echo {{ .device_1 }}']
      onTimeout: [sync]
  onSuccess: kexec
";

/// The same in Tinkerbell's format.
const DATA: &str = "  data: |
    version: '0.1'
    name: t
    global_timeout: 5400
    on-success: kexec
    tasks:
    - name: t
      worker: '{{ .device_1 }}'
      environment: {MIRROR: '{{ .hardware.metadata.labels.mirror }}', LEVEL: 1.0}
      volumes: [/dev:/dev]
      actions:
      - {name: wipe, image: 'disk-wipe:v3', timeout: 90, writes: [a]}
      - name: 'seed-{{ .hardware.metadata.name }}'
        image: cloud-init-seed:v3
        timeout: 120
        command: [--disk, '{{ formatPartition (index .Hardware.Disks 0) 1 }}', 7, true]
        environment: {LEVEL: two, ROOT: {secretRef: site/root}, AT: '{{ now | date \"2006\" }}'}
        volumes: ['/statedir:/statedir:ro']
        namespaces: {network: host}
        retries: 3
        on-interrupt: fail
        on-failure: [sh, -c, 'echo {{ .device_1 }}']
        on-timeout: [sync]
";

#[test]
fn actions_become_the_same_in_our_words_and_in_tinkerbell_s() {
    let ours = compiled(ACTIONS).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(ours, compiled(DATA).unwrap_or_else(|faults| panic!("{faults}")));
    assert_eq!((ours.global_timeout_s, ours.on_success), (5400, MachineAction::Kexec));
    let [wipe, seed] = ours.tasks[0].actions.as_slice() else { panic!("{ours:?}") };
    assert_eq!((wipe.timeout_s, wipe.environment["MIRROR"].as_text()), (Some(90), Some("10.0.0.2")));
    assert_eq!((seed.name.as_str(), seed.timeout_s), ("seed-node-1", Some(120)));
    assert_eq!(seed.command, ["--disk", "/dev/vda1", "7", "true"]);
    assert_eq!(seed.environment["AT"].as_text(), Some("2026"));
    assert_eq!(seed.volumes, ["/dev:/dev", "/statedir:/statedir:ro"]);
    assert_eq!(seed.on_failure.as_deref().unwrap()[2], "echo 52:54:00:00:00:01");
    assert_eq!((seed.retries, seed.on_interrupt), (3, OnInterrupt::Fail));
}

#[test]
fn tasks_run_on_the_machines_that_they_name_and_else_on_the_workflow_s() {
    let spec = compiled(
        "  globalTimeout: 10m
  environment: {A: all, B: all, C: all}
  volumes: [/all:/all]
  tasks:
    - {name: own, actions: [{name: one, image: x}]}
    - name: other
      worker: '{{ .peer }}'
      environment: {B: task, C: task}
      volumes: [/task:/task]
      actions: [{name: two, image: x, environment: {C: action}, volumes: [/action:/action]}]
",
    )
    .unwrap_or_else(|faults| panic!("{faults}"));
    let workers: Vec<_> = spec.tasks.iter().map(|task| (task.name.as_str(), task.worker.as_str())).collect();
    assert_eq!(workers, [("own", "node-1"), ("other", "node-2")]);
    let action = &spec.tasks[1].actions[0];
    let values: Vec<_> = action.environment.values().filter_map(|value| value.as_text()).collect();
    assert_eq!(values, ["all", "task", "action"]);
    assert_eq!(action.volumes, ["/all:/all", "/task:/task", "/action:/action"]);
    assert_eq!((spec.on_success, spec.on_failure), (MachineAction::Reboot, MachineAction::Stay));
}

#[test]
fn what_one_text_changes_no_other_sees() {
    let spec = compiled(
        "  globalTimeout: 10m
  actions:
    - name: one
      image: x
      command: ['{{ $_ := set .hardware.metadata.labels \"mirror\" \"changed\" }}x', '{{ .hardware.metadata.labels.mirror }}']
",
    )
    .unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(spec.tasks[0].actions[0].command, ["x", "10.0.0.2"]);
}

#[test]
fn every_fault_of_our_templates_has_its_place() {
    let shape = "  globalTimeout: 30
  enviroment: {}
  onSuccess: rebot
  actions:
    - {name: a, image: x, timeout: 5x, retires: 1}
    - {name: b}
    - {name: c, image: x, environment: {A: {secret: b}}, onInterrupt: '{{ .x }}'}
";
    let lint = "  globalTimeout: '{{ if }}'
  actions:
    - name: \"a{{ end }}\"
      image: plain{{uppper .x}}
      command:
        - |
          first
          second {{ $x }}
        - \"a\\tb {{ end }}\"
";
    let judged = "  globalTimeout: 0s
  environment: {'': a}
  volumes: [a:/b]
  tasks:
    - name: t
      worker: node-9
      volumes: [/a]
      actions:
        - {name: a, image: X, timeout: 0s, onTimeout: []}
        - {name: a, image: x, timeout: 1500ms, namespaces: {pid: guest}, writes: [b]}
    - {name: t, actions: []}
";
    let rendered = "  globalTimeout: '{{ .nothing }}'
  actions:
    - name: a
      image: 'x{{ .hardwre }}'
      command:
        - |
          fine
          {{ index .Hardware.Disks 7 }}
";
    let actions = "  globalTimeout: 1m
  volumes: [a]
  actions:
    - {name: a, image: X, volumes: [b]}
    - {name: '', image: x, timeout: '{{ \"soon\" }}'}
    - {name: c, image: x, onFailure: []}
";
    let both = "  data: ''\n  actions: []\n";
    let none = "  globalTimeout: 1m\n";
    let no_timeout = "  actions: []\n";
    let empty = "  {globalTimeout: 1m, actions: []}\n";
    let beside = "  data: ''\n  globalTimeout: 1m\n";
    let cases = [shape, lint, judged, rendered, actions, both, none, no_timeout, empty, beside];
    let told: Vec<String> = cases.iter().map(|case| compiled(case).expect_err(case).to_string()).collect();
    insta::assert_snapshot!(told.join("\n\n"), @r"
    t.yaml:5:18: spec.globalTimeout: `30` is no duration: write a number and a unit, as in 24h, 15m or 90s
    t.yaml:6:3: spec: unknown key `enviroment` (did you mean `environment`?)
    t.yaml:7:14: spec.onSuccess: `rebot` is none of reboot, kexec, poweroff, stay (did you mean `reboot`?)
    t.yaml:9:36: spec.actions[0].timeout: `5x` is no duration: write a number and a unit, as in 24h, 15m or 90s
    t.yaml:9:40: spec.actions[0]: unknown key `retires` (did you mean `retries`?)
    t.yaml:10:7: spec.actions[1]: the key `image` is missing
    t.yaml:11:44: spec.actions[2].environment.A: the key `secretRef` is missing
    t.yaml:11:45: spec.actions[2].environment.A: unknown key `secret`; known are secretRef
    t.yaml:11:71: spec.actions[2].onInterrupt: `{{ .x }}` is none of retry, fail

    t.yaml:5:22: spec.globalTimeout: this `if` has no `{{end}}`
    t.yaml:7:18: spec.actions[0].name: this `end` closes nothing
    t.yaml:8:21: spec.actions[0].image: there is no function `uppper` (did you mean `upper`?)
    t.yaml:12:21: spec.actions[0].command[0]: there is no variable `$x` here
    t.yaml:13:11: spec.actions[0].command[1]: this `end` closes nothing

    t.yaml:5:18: spec.globalTimeout: a workflow needs some seconds: write at least 1s (for Workflow `w`)
    t.yaml:6:16: spec.environment: a variable's name is not empty and holds no `=`, and there is no NUL in either (for Workflow `w`)
    t.yaml:7:13: spec.volumes[0]: `a:/b` is no volume: both paths are absolute and go without `..` (for Workflow `w`)
    t.yaml:10:15: spec.tasks[0].worker: `node-9` is no declared machine, neither by name nor by MAC (for Workflow `w`)
    t.yaml:11:17: spec.tasks[0].volumes[0]: `/a` is no volume: write source:target, or source:target:ro (for Workflow `w`)
    t.yaml:13:28: spec.tasks[0].actions[0].image: `X` is no image: write a name in lower case, as in disk-wipe:v3 or registry.example/team/disk-wipe:v3 (for Workflow `w`)
    t.yaml:13:40: spec.tasks[0].actions[0].timeout: an action needs some seconds: write at least 1s, or leave it out for the rest of globalTimeout (for Workflow `w`)
    t.yaml:13:55: spec.tasks[0].actions[0].onTimeout: a command has at least one word (for Workflow `w`)
    t.yaml:14:18: spec.tasks[0].actions[1].name: two actions are called `a`; names are unique in a workflow (for Workflow `w`)
    t.yaml:14:40: spec.tasks[0].actions[1].timeout: `1500ms` is no whole number of seconds: write 90s, 15m or 24h (for Workflow `w`)
    t.yaml:14:66: spec.tasks[0].actions[1].namespaces.pid: only `host` can be shared (for Workflow `w`)
    t.yaml:14:83: spec.tasks[0].actions[1].writes[0]: the machine has no writable disk `b`; known are a (for Workflow `w`)
    t.yaml:15:14: spec.tasks[1].name: two tasks are called `t`; names are unique in a workflow (for Workflow `w`)
    t.yaml:15:26: spec.tasks[1].actions: a task has at least one action (for Workflow `w`)

    t.yaml:5:22: spec.globalTimeout: there is no `nothing` in the data; names with other signs than letters and digits need `index` (for Workflow `w`)
    t.yaml:8:19: spec.actions[0].image: there is no `hardwre` in the data; names with other signs than letters and digits need `index` (for Workflow `w`) (did you mean `Hardware`?)
    t.yaml:12:14: spec.actions[0].command[0]: `index`: this place is behind the end; there are 1 (for Workflow `w`)

    t.yaml:6:13: spec.volumes[0]: `a` is no volume: write source:target, or source:target:ro (for Workflow `w`)
    t.yaml:8:24: spec.actions[0].image: `X` is no image: write a name in lower case, as in disk-wipe:v3 or registry.example/team/disk-wipe:v3 (for Workflow `w`)
    t.yaml:8:37: spec.actions[0].volumes[0]: `b` is no volume: write source:target, or source:target:ro (for Workflow `w`)
    t.yaml:9:14: spec.actions[1].name: a name has 1 to 199 characters on one line (for Workflow `w`)
    t.yaml:9:37: spec.actions[1].timeout: `soon` is no duration: write a number and a unit, as in 24h, 15m or 90s (for Workflow `w`)
    t.yaml:10:38: spec.actions[2].onFailure: a command has at least one word (for Workflow `w`)

    t.yaml:5:3: spec: a Template has one of `data`, `actions` and `tasks`: write the others into a Template of their own

    t.yaml:5:3: spec: a Template needs its `data`, `actions` or `tasks`

    t.yaml:5:3: spec: the key `globalTimeout` is missing

    t.yaml:5:32: spec.actions: a task has at least one action (for Workflow `w`)

    t.yaml:5:3: spec: beside `data` stands nothing: write it into the data
    ");
}

#[test]
fn what_only_the_rendering_brings_in_is_never_repeated() {
    let token = "'{{ .hardware.metadata.labels.token }}'";
    for template in [
        format!("  globalTimeout: {token}\n  actions: [{{name: a, image: x}}]\n"),
        "  globalTimeout: 1m\n  actions: [{name: a, image: '{{ upper .hardware.metadata.labels.token }}'}]\n"
            .to_owned(),
        format!("  globalTimeout: 1m\n  actions: [{{name: a, image: x, volumes: [{token}]}}]\n"),
        format!("  globalTimeout: 1m\n  actions: [{{name: a, image: x, timeout: {token}}}]\n"),
        format!("  globalTimeout: 1m\n  actions: [{{name: a, image: x, writes: [{token}]}}]\n"),
        format!(
            "  globalTimeout: 1m\n  actions: [{{name: {token}, image: x}}, {{name: {token}, image: x}}]\n"
        ),
        format!(
            "  globalTimeout: 1m\n  tasks: [{{name: a, worker: {token}, actions: [{{name: a, image: x}}]}}]\n"
        ),
        "  globalTimeout: 1m\n  actions: [{name: a, image: '{{ fail .hardware.metadata.labels.token }}'}]\n"
            .to_owned(),
    ] {
        let told = compiled(&template).expect_err(&template).to_string();
        assert!(!told.to_lowercase().contains("hunter2"), "{template}{told}");
        assert!(told.starts_with("t.yaml:"), "{told}");
    }
}

#[test]
fn our_templates_are_bounded_as_a_whole() {
    let action = |n: usize, text: &str| format!("    - {{name: a{n}, image: x, command: ['{text}']}}\n");
    let many = |count: usize, text: &str| {
        let actions: String = (0..count).map(|n| action(n, text)).collect();
        format!("  globalTimeout: 1m\n  actions:\n{actions}")
    };
    let loops = "{{ range until 4000 }}{{ range until 4 }}{{ end }}{{ end }}";
    assert!(compiled(&many(2, loops)).is_ok());
    for (template, bound) in [
        (many(40, loops), "within 250000 steps"),
        (many(3, "{{ repeat 100000 \"x\" }}"), "more than 262144 bytes"),
        (many(300, &"x".repeat(1000)), "the template has 3"),
    ] {
        let faults = compiled(&template).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults}");
        assert!(faults.to_string().contains(bound), "{faults}");
    }
    // Many texts share what the machine's data costs.
    assert!(compiled(&many(1000, "{{ .device_1 }}")).is_ok());
}

#[test]
fn our_templates_are_stored_as_written() {
    let set =
        validate(&files(ACTIONS), &[], Origin::Operator, at()).unwrap_or_else(|faults| panic!("{faults}"));
    let document = &set.find(Kind::Template, "t").unwrap().document;
    assert_eq!(document.spec["globalTimeout"], "1h 30m");
    assert_eq!(document.spec["environment"]["LEVEL"], "1.0");
    assert_eq!(
        document.spec["actions"][0],
        json!({"name": "wipe", "image": "disk-wipe:v3", "timeout": "90s", "writes": ["a"]})
    );
    assert_eq!(document.spec["actions"][1]["command"][2], "7");
    let text = crate::yaml::to_string(&serde_json::to_value(document).unwrap()).unwrap();
    let stored: Vec<Document> = set.documents().cloned().collect();
    let again = validate(&[("again.yaml", text)], &stored, Origin::Operator, at()).unwrap();
    assert!(diff(&stored, again.documents()).is_empty());
    let typed = TemplateSpec::from_document(document).unwrap();
    let written: TemplateSpec = serde_json::from_value(serde_json::to_value(&typed).unwrap()).unwrap();
    assert_eq!(written, typed);
}

#[test]
fn the_example_of_the_documentation_compiles() {
    let page = include_str!("../../../docs/TEMPLATES.md");
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(example.contains("tasks:") && example.contains("actions:"), "{example}");
    let files = [("TEMPLATES.md", example)];
    let set = validate(&files, &[], Origin::Operator, at()).unwrap_or_else(|faults| panic!("{faults}"));
    let catalog = Catalog::new(set.documents()).at(at());
    let workflows = set.documents().filter(|document| document.kind == Kind::Workflow);
    let compiled: Vec<String> = workflows
        .map(|document| {
            let spec = catalog.compile(&WorkflowDocSpec::from_document(document).unwrap()).unwrap();
            let actions = spec.actions().map(|(task, action)| format!("{} on {}", action.name, task.worker));
            actions.collect::<Vec<_>>().join(", ")
        })
        .collect();
    assert_eq!(compiled, ["wipe on node-1, partition on node-1", "wipe on node-1, announce on node-2"]);
}
