//! A Profile that a whole fleet shares: what an apply of a change to it costs, without install files and with some.

use std::sync::Arc;

use bootcode_core::{
    apply::Origin,
    snapshot::Snapshot,
    store::{MemoryStore, Store},
};

use super::{
    fleet,
    table::{Table, Wanted, block_on, thread_time},
};

const MACHINES: usize = 100_000;

/// What a site writes: the machine's address, its keys and disks, and a script of some length.
const KICKSTART: &str = "# {{ .hardware.metadata.name }}, instance {{ .Hardware.Metadata.Instance.ID }}, {{ now | date \"2006-01-02\" }}
text
lang en_US.UTF-8
keyboard us
timezone --utc Etc/UTC
{{- range .Hardware.Interfaces }}
network --device={{ .DHCP.MAC }} --bootproto=static --ip={{ .DHCP.IP.Address }} --netmask={{ .DHCP.IP.Netmask }} --hostname={{ .DHCP.Hostname }}
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
%post
{{- if eq .hardware.metadata.labels.rack \"a1\" }}
echo console >> /etc/securetty
{{- else }}
echo {{ .hardware.metadata.labels.rack | upper }} > /etc/rack
{{- end }}
%end
";
const PRESEED: &str = "d-i debian-installer/locale string en_US.UTF-8
d-i netcfg/choose_interface select auto
d-i netcfg/get_hostname string {{ .hardware.spec.hostname }}
d-i partman-auto/disk string {{ index .Hardware.Disks 0 }}
d-i passwd/root-login boolean false
tasksel tasksel/first multiselect standard, ssh-server
";

/// What a Profile has besides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Has {
    Nothing,
    UserData,
    InstallFiles,
}

fn profile(round: usize, has: Has) -> String {
    let mut text = format!(
        "apiVersion: bootcode/v1\nkind: Profile\nmetadata: {{name: rocky}}\nspec:\n  kernelArgs: [round={round}]\n  sshKeys: \
         [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAxlcncODVW7EFAg191tXBGQN9i+s2aRxNF06KnBkUSN operator]\n"
    );
    if has == Has::UserData {
        let words = "packages: [vim] # ".repeat(200 << 10 >> 4);
        text.push_str(&format!("  userData: '{}'\n", &words[..200 << 10]));
    }
    if has == Has::InstallFiles {
        text.push_str("  instance:\n    install:\n");
        for (name, template) in [("ks.cfg", KICKSTART), ("preseed.cfg", PRESEED)] {
            text.push_str(&format!("      {name}: |\n        {}\n", template.replace('\n', "\n        ")));
        }
    }
    text
}

pub(crate) fn change(table: &mut Table) {
    block_on(async {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let snapshot = Snapshot::load(&*store).await.expect("a store in memory");
        let applier = fleet::applier(&store, &snapshot).await;
        let apply = async |round, has| {
            let files = [("profile.yaml".to_owned(), profile(round, has))];
            let start = thread_time();
            applier.apply(&files, Origin::Operator).await.expect("a Profile without faults");
            (thread_time() - start).as_secs_f64()
        };
        apply(0, Has::Nothing).await;
        fleet::fill_with(&*store, MACHINES, &|machine| machine["spec"]["profile"] = "rocky".into()).await;
        for (n, (what, has)) in [
            ("a change to the Profile", Has::Nothing),
            ("the same with user data of 200 KiB", Has::UserData),
            ("the same with two install files", Has::InstallFiles),
        ]
        .into_iter()
        .enumerate()
        {
            let took = apply(2 * n + 1, has).await.min(apply(2 * n + 2, has).await);
            table.note(format!("apply of {what}, {MACHINES} machines"), Wanted::Nothing, took, "s");
        }
    });
}
