//! The two servers: ours with all the machines that a site may have, and nginx with a file.

use std::{fmt::Write as _, fs, io, net::SocketAddrV4, path::Path};

use crate::{
    ask::{mac, name},
    nginx,
    process::Process,
    wire::{SERVER, machine_ip},
};

/// Where ours listens.
pub(crate) const OURS: SocketAddrV4 = SocketAddrV4::new(SERVER, 80);
/// Where nginx does.
pub(crate) const NGINX: SocketAddrV4 = SocketAddrV4::new(SERVER, 81);

/// nginx, with 1 KiB at `/1k`.
pub(crate) fn nginx(dir: &Path) -> io::Result<Process> {
    fs::create_dir_all(dir.join("www"))?;
    fs::write(dir.join("www/1k"), user_data())?;
    nginx::start(dir, NGINX)
}

/// Ours, with this many machines that share their user data, as a release build of the whole server.
pub(crate) fn bootcode(dir: &Path, program: &Path, machines: u32) -> io::Result<Process> {
    let documents = dir.join("machines");
    fs::create_dir_all(&documents)?;
    let user_data = user_data().replace('\n', "\\n");
    let mut text = format!(
        "apiVersion: bootcode/v1\nkind: Network\nmetadata: {{name: hall}}\nspec:\n  cidr: 10.0.0.0/8\n  gateway: {SERVER}\n  \
         dns: {{servers: [{SERVER}], search: [hall.example]}}\n  dhcp: {{mode: none}}\n\
         ---\napiVersion: bootcode/v1\nkind: Profile\nmetadata: {{name: node}}\nspec:\n  userData: \"{user_data}\"\n  \
         sshKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8ZLqzR1tH0xM3y5v3nX0pX8fJzq5nJc0cWkq1v4n2B root@hall']\n"
    );
    for n in 0..machines {
        let _ = write!(
            text,
            "---\napiVersion: bootcode/v1\nkind: Hardware\nmetadata: {{name: {}}}\nspec:\n  profile: node\n  \
             interfaces:\n    - {{id: nic0, mac: '{}', network: hall, ip: {}, netboot: true}}\n",
            name(n),
            mac(n),
            machine_ip(n)
        );
        // A file of bounded size for each thousand, as a repository would have.
        if n % 1000 == 999 || n + 1 == machines {
            fs::write(documents.join(format!("{n:06}.yaml")), text.trim_start_matches("---\n"))?;
            text.clear();
        }
    }
    let config = dir.join("bootcode.yaml");
    let text = format!(
        "data_dir: data\nstore: sqlite\ninterfaces: [srv0]\ntftp: {{listen: '127.0.0.1:0'}}\nhttp: {{listen: '{OURS}'}}\n\
         api: {{socket: api.sock}}\nsources: [{{dir: machines}}]\n"
    );
    fs::write(&config, text)?;
    Process::start(dir, program, &[Path::new("--config"), &config], &[])
}

/// 1 KiB.
fn user_data() -> String {
    let mut text = "#cloud-config\npackages: [curl]\n".to_owned();
    while text.len() < 1024 - 64 {
        text.push_str("# what the owner of this machine wants done in its first boot\n");
    }
    let left = 1024 - text.len() - 1;
    text.push_str(&"#".repeat(left));
    text.push('\n');
    text
}
