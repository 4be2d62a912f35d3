//! Install files: their names, and that each is rendered for every machine that has it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Checker, Entry, Kind, Spec, template::within};
use crate::{
    clock::Timestamp,
    document::{Document, Hardware, InstallFiles, install::install_name_fault},
    limits::FAULTS,
    template::{Prepared, RenderError, TemplateData, lint},
    yaml::{Fault, Position},
};

/// Templates are rendered for machines that are new or changed, or whose Profile is: an apply of one machine must not render those of
/// a hundred thousand others, which were rendered when they came.
pub(super) fn check(checker: &mut Checker<'_>, new: &[Entry], existing: &[Document], now: Timestamp) {
    let mut unreadable: HashSet<(*const Entry, &str)> = HashSet::new();
    for entry in new {
        for (name, error) in written(checker, entry) {
            let fault = error.into_fault("");
            checker.faults.push(placed(entry, name, fault));
            unreadable.insert((entry, name));
        }
    }
    if checker.machines.iter().all(|(_, spec)| spec.instance.install.is_none()) {
        return;
    }
    let changed = changed(new, existing);
    let machines = std::mem::take(&mut checker.machines);
    let mut told = HashSet::new();
    // Read once for all machines that have it: of a Profile's that is most of the work.
    let mut prepared = HashMap::new();
    for (entry, spec) in &machines {
        let Some(files) = &spec.instance.install else { continue };
        let (document, profile) = (&entry.document, Hardware::profile_of(&entry.document));
        let concerned = changed.contains(&(Kind::Hardware, document.metadata.name.as_str()))
            || profile.is_some_and(|profile| changed.contains(&(Kind::Profile, profile)));
        if !concerned || entry.faulty || checker.faults.len() >= FAULTS {
            continue;
        }
        let profile = profile.and_then(|profile| checker.find(Kind::Profile, profile));
        let (name, labels) = (document.metadata.name.clone(), document.metadata.labels.clone());
        let machine = Hardware { name, labels, spec: spec.clone() };
        for (name, fault) in faults(checker, &machine, files, &mut prepared, now) {
            let owner = profile.filter(|_| !writes(entry, name)).unwrap_or(entry);
            if unreadable.contains(&(std::ptr::from_ref(owner), name)) {
                continue;
            }
            // What a Profile has wrong is wrong for each of its machines: the first of them stands for all.
            if told.insert((std::ptr::from_ref(owner), name.to_owned(), fault.line, fault.message.clone())) {
                let is_new = new.iter().any(|entry| std::ptr::eq(entry, owner));
                checker.faults.push(told_of(entry, owner, is_new, name, fault));
            }
        }
    }
    checker.machines = machines;
}

/// What a document's own install files have wrong without any machine. Returns the templates that cannot be read.
fn written<'e>(checker: &mut Checker<'_>, entry: &'e Entry) -> Vec<(&'e str, RenderError)> {
    let Some(Spec::Hardware(spec) | Spec::Profile(spec)) = &entry.spec else { return Vec::new() };
    let Some(files) = &spec.instance.install else { return Vec::new() };
    if let Some(message) = files.fault() {
        checker.fault(entry, "spec.instance.install", message);
    }
    for name in files.names() {
        if let Some(message) = install_name_fault(name) {
            let fault = entry.fault("spec.instance.install", message);
            checker.faults.push(placed(entry, name, Fault { line: 0, ..fault }));
        }
    }
    files.iter().filter_map(|(name, text)| Some((name.as_str(), lint(text).err()?))).collect()
}

/// Those of the new documents that say something else than what is stored.
fn changed<'e>(new: &'e [Entry], existing: &[Document]) -> HashSet<(Kind, &'e str)> {
    let key = |document: &Document| (document.kind, document.metadata.name.clone());
    let concerned = |document: &&Document| matches!(document.kind, Kind::Hardware | Kind::Profile);
    let stored: HashMap<_, &Document> =
        existing.iter().filter(concerned).map(|document| (key(document), document)).collect();
    let same = |document: &Document| {
        stored.get(&key(document)).is_some_and(|stored| {
            stored.spec == document.spec && stored.metadata.labels == document.metadata.labels
        })
    };
    let new = new.iter().map(|entry| &entry.document);
    new.filter(concerned)
        .filter(|document| !same(document))
        .map(|document| (document.kind, document.metadata.name.as_str()))
        .collect()
}

/// The files that cannot be rendered for a machine, as metadata would render them.
fn faults<'f>(
    checker: &Checker<'_>,
    machine: &Hardware,
    files: &'f InstallFiles,
    prepared: &mut HashMap<&'f str, Result<Prepared<'f>, RenderError>>,
    now: Timestamp,
) -> Vec<(&'f str, Fault)> {
    let networks: BTreeMap<&str, _> = machine
        .spec
        .interfaces
        .iter()
        .filter(|interface| interface.ip.is_some())
        .filter_map(|interface| interface.network.as_deref())
        .filter_map(|name| Some((name, checker.network(name)?)))
        .collect();
    let network = |name: &str| {
        let spec = networks.get(name)?;
        Some(crate::document::Network { name: name.to_owned(), spec: (*spec).clone() })
    };
    let data = TemplateData::of(machine, &network).at(now);
    let (mut faults, mut renderings) = (Vec::new(), data.renderings());
    for (name, text) in files.iter() {
        let rendered = match prepared.entry(text.as_str()).or_insert_with(|| Prepared::read(text)) {
            Ok(template) => renderings.render(template).err(),
            Err(error) => Some(error.clone()),
        };
        faults.extend(rendered.map(|error| (name.as_str(), error.into_fault(""))));
    }
    faults
}

/// A fault of rendering where its template stands, or at the new machine that takes it from a stored Profile.
fn told_of(machine: &Entry, owner: &Entry, is_new: bool, name: &str, fault: Fault) -> Fault {
    if std::ptr::eq(machine, owner) {
        return placed(owner, name, fault);
    }
    if is_new {
        let message = format!("{} (for Hardware `{}`)", fault.message, machine.document.metadata.name);
        return placed(owner, name, Fault { message, ..fault });
    }
    let message = format!(
        "`{name}` of Profile `{}`, line {}, column {}: {}",
        owner.document.metadata.name, fault.line, fault.column, fault.message
    );
    Fault { suggestion: fault.suggestion, ..machine.fault("spec.profile", message) }
}

/// Moves a fault of a template to where it stands: in a file of its own, or in its document.
fn placed(entry: &Entry, name: &str, fault: Fault) -> Fault {
    let path = format!("spec.instance.install.{name}");
    if let Some(included) = entry.included.iter().find(|included| included.name == name && fault.line > 0) {
        return Fault { file: included.file.clone(), path, ..fault };
    }
    // A name has dots, as paths have.
    let keys = ["spec", "instance", "install", name];
    let node = keys.iter().try_fold(&entry.node, |node, key| node.get(key)).unwrap_or(&entry.node);
    let within: Option<Position> = within(node, &fault);
    let path = match within {
        None if fault.line > 0 => format!("{path}, line {}", fault.line),
        _ => path,
    };
    let Position { line, column } = within.unwrap_or(node.position);
    Fault { file: entry.file.to_string(), line, column, path, ..fault }
}

/// Whether the machine itself says this file, rather than its Profile.
fn writes(entry: &Entry, name: &str) -> bool {
    entry.writes(&["spec", "instance", "install", name])
}

#[cfg(test)]
mod tests {
    use crate::{
        clock::Timestamp,
        document::{Document, Origin, validate},
        limits::FAULTS,
    };

    const PROFILE: &str = "apiVersion: bootcode/v1
kind: Profile
metadata: {name: rocky}
spec:
  instance:
    install:
      ks.cfg: |
        lang en_US
        network --hostname {{ .hardware.spec.hostname }}
        rootpw {{ .hardware.metadata.labels.rack }}
";
    const NODE: &str = "apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1, labels: {rack: a1}}
spec:
  profile: rocky
  interfaces: [{id: a, mac: 02:00:00:00:00:01}]
  instance: {install: {preseed.cfg: {file: files/preseed.cfg}}}
";
    const PRESEED: &str = "d-i passwd/root-login boolean false\nd-i debian-installer/locale string C # {{ (index .Hardware.Interfaces 0).DHCP.MAC }}\n";

    fn faults(files: &[(&str, &str)], existing: &[Document]) -> String {
        let checked = validate(files, existing, Origin::Operator, Timestamp::UNIX_EPOCH);
        checked.map_or_else(|faults| faults.to_string(), |_| String::new())
    }

    fn fleet<'a>(profile: &'a str, node: &'a str, preseed: &'a str) -> [(&'a str, &'a str); 3] {
        [("p.yaml", profile), ("sub/n.yaml", node), ("sub/files/preseed.cfg", preseed)]
    }

    fn stored(files: &[(&str, &str)]) -> Vec<Document> {
        let set = validate(files, &[], Origin::Operator, Timestamp::UNIX_EPOCH).unwrap();
        set.into_documents()
    }

    #[test]
    fn a_fault_of_a_template_has_its_place_where_the_template_stands() {
        assert_eq!(faults(&fleet(PROFILE, NODE, PRESEED), &[]), "");
        let rows = [
            // In the document, a syntax fault without any machine, and one that a machine shows.
            (PROFILE.replace("labels.rack }}", "labels.rack"), NODE.to_owned(), PRESEED.to_owned()),
            (PROFILE.replace("labels.rack", "labels.row"), NODE.to_owned(), PRESEED.to_owned()),
            (
                PROFILE.replace("{{ .hardware.spec", "{{ upcase .hardware.spec"),
                NODE.to_owned(),
                PRESEED.to_owned(),
            ),
            // In a file of its own.
            (PROFILE.to_owned(), NODE.to_owned(), PRESEED.replace(".DHCP.MAC", ".DHCP.MACS")),
            (PROFILE.to_owned(), NODE.to_owned(), PRESEED.replace("{{ (", "{{ ")),
            // What a machine writes in its Profile's stead is its own.
            (
                PROFILE.to_owned(),
                NODE.replace("{install: {", "{install: {ks.cfg: \"{{ .x }}\", "),
                PRESEED.to_owned(),
            ),
            // Names, files that are not there, secrets.
            (PROFILE.replace("ks.cfg:", "'k s.cfg':"), NODE.to_owned(), PRESEED.to_owned()),
            (PROFILE.to_owned(), NODE.replace("files/preseed", "files/presed"), PRESEED.to_owned()),
            (PROFILE.to_owned(), NODE.replace("files/preseed", "../preseed"), PRESEED.to_owned()),
            (
                PROFILE.to_owned(),
                NODE.replace("{file: files/preseed.cfg}", "{secretRef: a/b}"),
                PRESEED.to_owned(),
            ),
            // A file without its name.
            (
                PROFILE.to_owned(),
                NODE.replace("{preseed.cfg: {file: files/preseed.cfg}}", "{secretRef: a/b}"),
                PRESEED.to_owned(),
            ),
            (
                PROFILE.to_owned(),
                NODE.replace("{preseed.cfg: {file: files/preseed.cfg}}", "{file: files/preseed.cfg}"),
                PRESEED.to_owned(),
            ),
        ];
        let all: Vec<String> = rows
            .iter()
            .map(|(profile, node, preseed)| {
                assert!(
                    (profile, node, preseed) != (&PROFILE.to_owned(), &NODE.to_owned(), &PRESEED.to_owned())
                );
                faults(&fleet(profile, node, preseed), &[])
            })
            .collect();
        insta::assert_snapshot!(all.join("\n--\n"));
    }

    #[test]
    fn machines_that_come_later_are_rendered_and_those_that_stay_are_not() {
        let all = stored(&fleet(PROFILE, NODE, PRESEED));
        // A second machine without the label that its stored Profile's template wants.
        let second = NODE
            .replace("node-1, labels: {rack: a1}", "node-2, labels: {row: a1}")
            .replace(":01}", ":02}")
            .replace("  instance: {install: {preseed.cfg: {file: files/preseed.cfg}}}\n", "");
        let found = faults(&[("n.yaml", &second)], &all);
        assert!(
            found.starts_with("n.yaml:5:12: spec.profile: `ks.cfg` of Profile `rocky`, line 3, column"),
            "{found}"
        );
        // A Profile that changes is rendered for the machines that are stored.
        let changed = PROFILE.replace("labels.rack", "labels.row");
        let found = faults(&[("p.yaml", &changed)], &all);
        assert!(found.contains("p.yaml:10:") && found.contains("(for Hardware `node-1`)"), "{found}");
        // What is stored with a fault, as of an earlier version, is nobody's fault but that of who changes it.
        let mut broken = all.clone();
        broken.iter_mut().filter(|document| document.metadata.name == "rocky").for_each(|profile| {
            profile.spec["instance"]["install"]["ks.cfg"] = "{{ .nothing }}".into();
        });
        let other = NODE.replace("node-1", "other").replace(":01}", ":03}").replace("  profile: rocky\n", "");
        assert_eq!(
            faults(&fleet("", &other, PRESEED)[1..], &broken),
            "",
            "another machine than those of the Profile"
        );
        assert_eq!(faults(&fleet("", NODE, PRESEED)[1..], &broken), "", "one that is as it was");
        let labelled = NODE.replace("rack: a1", "rack: a2");
        assert!(faults(&fleet("", &labelled, PRESEED)[1..], &broken).contains("`nothing`"));
    }

    #[test]
    fn a_fault_of_a_profile_is_told_once_for_all_its_machines() {
        let profile = PROFILE.replace("labels.rack", "labels.row");
        let machines: String = (0..2 * FAULTS)
            .map(|n| {
                format!("---\napiVersion: bootcode/v1\nkind: Hardware\nmetadata: {{name: n{n}, labels: {{rack: a}}}}\nspec: {{profile: rocky, interfaces: [{{id: a, mac: 02:00:00:00:{:02x}:{:02x}}}]}}\n", n / 256, n % 256)
            })
            .collect();
        let found = faults(&[("p.yaml", &profile), ("n.yaml", &machines)], &[]);
        assert_eq!(found.lines().count(), 1, "{found}");
    }

    #[test]
    fn their_number_is_bounded() {
        let many: String = (0..17).map(|n| format!("      f{n}: x\n")).collect();
        let found =
            faults(&[("p.yaml", &PROFILE.replace("      ks.cfg", &format!("{many}      ks.cfg")))], &[]);
        assert!(found.contains("spec.instance.install: a document has at most 16 install files"), "{found}");
    }
}
