//! Each thing that a template can have wrong, one by one, with what is said of it.

use super::tests::compiled;

const GOOD: &str = "version: '0.1'
name: n
global_timeout: 10
on-success: kexec
tasks:
- name: t
  worker: '{{.device_1}}'
  actions:
  - name: a
    image: x:v1
    timeout: 5
    command: [1, true, 0x10, text]
    environment: {N: 1.0, E: ''}
    volumes: [/a:/b:ro]
  - name: b
    image: y
";

#[test]
fn each_fault_alone_has_its_words_and_its_place() {
    let good = compiled(GOOD, &[]).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(good.tasks[0].actions[0].command, ["1", "true", "0x10", "text"], "a scalar's text is taken");
    assert_eq!(good.tasks[0].actions[0].environment["N"].as_text(), Some("1.0"));
    let long = "n".repeat(200);
    let long_name = format!("name: {long}");
    for (good, bad, told) in [
        ("'0.1'", "'0.9'", "1:10: version: `0.9` is no known version of templates: write '0.1'"),
        ("version: '0.1'\n", "", "1:1: the key `version` is missing"),
        ("name: n", "name: ''", "2:7: name: a name has 1 to 199 characters on one line"),
        ("name: n", &long_name, "2:7: name: a name has 1 to 199 characters on one line"),
        (
            "timeout: 10",
            "timeout: 0",
            "3:17: global_timeout: a workflow needs some seconds: write at least 1",
        ),
        (
            "timeout: 10",
            "timeout: -1",
            "3:17: global_timeout: expected a whole number from 0 to 18446744073709551615, found `-1`",
        ),
        (
            "kexec",
            "kexek",
            "4:13: on-success: `kexek` is none of reboot, kexec, poweroff, stay (did you mean `kexec`?)",
        ),
        (
            "on-success: kexec",
            "on-failure: halt",
            "4:13: on-failure: `halt` is none of reboot, kexec, poweroff, stay",
        ),
        ("on-success", "onsuccess", "4:1: unknown key `onsuccess` (did you mean `on-success`?)"),
        (
            "'{{.device_1}}'",
            "' '",
            "7:11: tasks[0].worker: a task needs its `worker`: write \"{{.device_1}}\"",
        ),
        (
            "'{{.device_1}}'",
            "node-7",
            "7:11: tasks[0].worker: `node-7` is no declared machine, neither by name nor by MAC",
        ),
        (
            "name: b",
            "name: a",
            "15:11: tasks[0].actions[1].name: two actions are called `a`; names are unique in a workflow",
        ),
        (
            "image: y",
            "image: 'y y'",
            "16:12: tasks[0].actions[1].image: `y y` is no image: write a name in lower case, as in disk-wipe:v3 or registry.example/team/disk-wipe:v3",
        ),
        ("image: y", "imgae: y", "16:5: tasks[0].actions[1]: unknown key `imgae` (did you mean `image`?)"),
        (
            "timeout: 5",
            "timeout: 0",
            "11:14: tasks[0].actions[0].timeout: an action needs some seconds: write at least 1, or leave it out for the rest of global_timeout",
        ),
        (
            "[/a:/b:ro]",
            "['/a:/b:ro:z']",
            "14:15: tasks[0].actions[0].volumes[0]: `/a:/b:ro:z` is no volume: write source:target, or source:target:ro",
        ),
        (
            "[/a:/b:ro]",
            "['/a/../c:/b']",
            "14:15: tasks[0].actions[0].volumes[0]: `/a/../c:/b` is no volume: both paths are absolute and go without `..`",
        ),
        (
            "[/a:/b:ro]",
            "['/a:/b:']",
            "14:15: tasks[0].actions[0].volumes[0]: `/a:/b:` is no volume: its options are some of ro, rw, z, Z, private, rprivate, shared, rshared, rslave",
        ),
        (
            "{N: 1.0,",
            "{N: [1],",
            "13:22: tasks[0].actions[0].environment.N: expected text or a mapping, found a list",
        ),
        (
            "{N: 1.0, E: ''}",
            "{'A=B': x}",
            "13:18: tasks[0].actions[0].environment: a variable's name is not empty and holds no `=`, and there is no NUL in either",
        ),
        ("0x10, text]", "{a: b}]", "12:24: tasks[0].actions[0].command[2]: expected text, found a mapping"),
    ] {
        let source = GOOD.replacen(good, bad, 1);
        assert_ne!(source, GOOD, "{good} stands in the good one");
        let faults = compiled(&source, &[]).expect_err(bad).to_string();
        assert_eq!(faults, format!("t:{told}"), "{bad}");
    }
}
