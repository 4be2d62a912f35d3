//! The servers that are measured: ours and Kea, each on a core of its own, with the same machines.

use std::{fmt::Write as _, fs, io, net::Ipv4Addr, path::Path};

use crate::{
    load::From,
    process::Process,
    wire::{RELAY, SERVER, machine_ip, machine_mac},
};

fn colons(n: u32) -> String {
    machine_mac(n).map(|byte| format!("{byte:02x}")).join(":")
}

/// Half as many addresses again as there are machines.
fn pool(machines: u32) -> (Ipv4Addr, Ipv4Addr) {
    (machine_ip(0), machine_ip(machines + machines / 2))
}

/// Ours, with this many machines, or with a pool for any, as a release build of the whole server.
pub(crate) fn bootcode(dir: &Path, program: &Path, machines: u32, from: From) -> io::Result<Process> {
    let documents = dir.join("machines");
    fs::create_dir_all(&documents)?;
    let mut text = format!(
        "apiVersion: bootcode/v1\nkind: Network\nmetadata: {{name: hall}}\nspec:\n  cidr: 10.0.0.0/8\n  gateway: {SERVER}\n  \
         dns: {{servers: [{SERVER}], search: [hall.example]}}\n  lease: 1h\n  dhcp: {{mode: authoritative, relays: [{RELAY}]}}\n"
    );
    if from == From::Pool {
        let (first, last) = pool(machines);
        let _ = writeln!(text, "  unknown: pool\n  pool: [{first}-{last}]");
        fs::write(documents.join("hall.yaml"), &text)?;
    }
    for n in (0..machines).filter(|_| from == From::Reservations) {
        let (mac, ip) = (colons(n), machine_ip(n));
        let _ = write!(
            text,
            "---\napiVersion: bootcode/v1\nkind: Hardware\nmetadata: {{name: m{n}}}\nspec:\n  userData: \"#cloud-config\\npackages: [curl]\"\n  \
             interfaces:\n    - {{id: nic0, mac: '{mac}', network: hall, ip: {ip}, netboot: true}}\n"
        );
        // A file of bounded size for each thousand, as a repository would have.
        if n % 1000 == 999 || n + 1 == machines {
            fs::write(documents.join(format!("{n:06}.yaml")), text.trim_start_matches("---\n"))?;
            text.clear();
        }
    }
    let config = dir.join("bootcode.yaml");
    fs::write(
        &config,
        "data_dir: data\nstore: sqlite\ninterfaces: [srv0]\ntftp: {listen: '127.0.0.1:0'}\nhttp: {listen: '127.0.0.1:0'}\n\
         api: {socket: api.sock}\nsources: [{dir: machines}]\n",
    )?;
    again(dir, program)
}

/// Ours, on what it left in that directory.
pub(crate) fn again(dir: &Path, program: &Path) -> io::Result<Process> {
    Process::start(dir, program, &[Path::new("--config"), &dir.join("bootcode.yaml")], &[])
}

/// Kea from Debian, with the same machines as reservations, or with the same pool. It keeps its leases in a file.
pub(crate) fn kea(dir: &Path, machines: u32, from: From) -> io::Result<Process> {
    let mut reservations = Vec::new();
    for n in (0..machines).filter(|_| from == From::Reservations) {
        reservations.push(format!(
            "{{\"hw-address\": \"{}\", \"ip-address\": \"{}\", \"hostname\": \"m{n}\"}}",
            colons(n),
            machine_ip(n)
        ));
    }
    let (first, last) = pool(machines);
    let give = match from {
        From::Reservations => {
            "\"reservations-in-subnet\": true, \"reservations-out-of-pool\": true".to_owned()
        }
        // Nobody has one, and it need not look.
        From::Pool => {
            format!("\"reservations-in-subnet\": false, \"pools\": [{{\"pool\": \"{first} - {last}\"}}]")
        }
    };
    let leases = dir.join("leases.csv");
    let text = format!(
        "{{\"Dhcp4\": {{\"interfaces-config\": {{\"interfaces\": [\"srv0\"], \"dhcp-socket-type\": \"udp\"}},\
         \"lease-database\": {{\"type\": \"memfile\", \"persist\": true, \"name\": \"{}\"}}, \"valid-lifetime\": 3600,\
         \"host-reservation-identifiers\": [\"hw-address\"],\
         \"loggers\": [{{\"name\": \"kea-dhcp4\", \"severity\": \"ERROR\", \"output_options\": [{{\"output\": \"stderr\"}}]}}],\
         \"subnet4\": [{{\"id\": 1, \"subnet\": \"10.0.0.0/8\", {give},\
         \"next-server\": \"{SERVER}\", \"boot-file-name\": \"snponly.efi\",\
         \"option-data\": [{{\"name\": \"routers\", \"data\": \"{SERVER}\"}}, {{\"name\": \"domain-name-servers\", \"data\": \"{SERVER}\"}}],\
         \"reservations\": [{}]}}]}}}}",
        leases.display(),
        reservations.join(",")
    );
    let config = dir.join("kea.json");
    fs::write(&config, text)?;
    let variables = [("KEA_PIDFILE_DIR", dir), ("KEA_LOCKFILE_DIR", dir)];
    Process::start(dir, Path::new("/usr/sbin/kea-dhcp4"), &[Path::new("-c"), &config], &variables)
}
