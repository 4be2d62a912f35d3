//! Machines that asked and that no Hardware names.

use std::net::Ipv4Addr;

use bootcode_api::{
    ClientError, OperatorClient,
    routes::{File, Files, Problem},
};
use bootcode_core::{arch::ClientArch, document::Kind, mac::MacAddr, yaml};
use serde_json::{Value, json};

use crate::{
    arguments::Format,
    describe::Selector,
    documents,
    error::{CliError, say},
    faults,
    show::{self, text},
};

/// What an operator says of a machine.
pub(crate) struct Wanted {
    pub(crate) name: Option<String>,
    pub(crate) ip: Option<Ipv4Addr>,
    pub(crate) profile: Option<String>,
}

/// Lists them, or one.
pub(crate) async fn get(
    client: &OperatorClient,
    mac: Option<&str>,
    selector: Option<&Selector>,
    format: Format,
) -> Result<(), CliError> {
    let mut items = match mac {
        Some(mac) => vec![json!(client.unknown_one(parse(mac)?).await?)],
        None => client.unknown().await?.items,
    };
    // They have no labels.
    items.retain(|item| selector.is_none_or(|selector| selector.fits(item)));
    match format {
        Format::Table if items.is_empty() => show::line(
            "no machine without a Hardware has asked in a Network with `unknown: record`, `pool` or `boot`",
        ),
        Format::Table => show::rows(
            &[
                ("MAC", |item| text(&item["mac"])),
                ("NETWORK", |item| text(&item["network"])),
                ("FIRMWARE", firmware),
                ("HOST/SERIAL", called),
                ("DISKS", |item| disks(item).map(|disks| disks.len().to_string()).unwrap_or_default()),
                ("LAST SEEN", |item| text(&item["lastSeen"]).chars().take(16).collect::<String>() + "Z"),
            ],
            &items,
        ),
        format if mac.is_some() => show::value(&items.remove(0), format),
        format => show::value(&items.into(), format),
    }
}

/// All that one told.
pub(crate) async fn describe(client: &OperatorClient, mac: &str) -> Result<(), CliError> {
    let mac = parse(mac)?;
    let machine = json!(client.unknown_one(mac).await?);
    for (title, key) in [
        ("MAC", "mac"),
        ("Network", "network"),
        ("Hostname", "hostname"),
        ("Vendor class", "vendorClass"),
        ("User class", "userClass"),
        ("GUID", "guid"),
        ("Client id", "clientId"),
        ("Relay", "relay"),
        ("Circuit id", "circuitId"),
        ("Remote id", "remoteId"),
        ("First seen", "firstSeen"),
        ("Last seen", "lastSeen"),
        ("Times", "times"),
    ] {
        let value = text(&machine[key]);
        if !value.is_empty() {
            show::line(&format!("{:<14}{value}", format!("{title}:")))?;
        }
    }
    for arch in archs(&machine) {
        let name = arch.name().unwrap_or("not in the registry");
        show::line(&format!("{:<14}{} ({name})", "Architecture:", arch.0))?;
    }
    let inventory = &machine["inventory"];
    for (title, value) in [
        ("Serial", text(&inventory["serial"])),
        ("UUID", text(&inventory["uuid"])),
        (
            "Memory",
            inventory["memoryBytes"].as_u64().map(|bytes| format!("{} MiB", bytes >> 20)).unwrap_or_default(),
        ),
    ] {
        if !value.is_empty() {
            show::line(&format!("{:<14}{value}", format!("{title}:")))?;
        }
    }
    for disk in disks(&machine).into_iter().flatten() {
        show::line(&format!("{:<14}{}", "Disk:", disk_line(disk)))?;
    }
    show::line(&format!("\n`bootcode adopt {mac}` declares it."))
}

/// Declares one, or prints the document that would.
pub(crate) async fn adopt(
    client: &OperatorClient,
    mac: MacAddr,
    wanted: &Wanted,
    dry_run: bool,
    format: Format,
) -> Result<(), CliError> {
    let machine = client.unknown_one(mac).await?;
    let name = wanted.name.clone().unwrap_or_else(|| machine.suggested_name());
    // An apply would take it for a change of that machine.
    match client.one(Kind::Hardware.name(), &name, false).await {
        Ok(_) => return Err(CliError::NameTaken { name }),
        Err(ClientError::Problem(Problem::NotFound { .. })) => {}
        Err(error) => return Err(error.into()),
    }
    let document = json!(machine.adopt(&name, wanted.ip, wanted.profile.as_deref()));
    let text = yaml::to_string(&document).map_err(|error| CliError::Form { message: error.to_string() })?;
    let files = Files { files: vec![File { name: "the document of `adopt`".to_owned(), text }] };
    if dry_run || format != Format::Table {
        // What could not be applied is of no use in Git either.
        documents::answered(client.diff(&files).await, &files)?;
        return match format {
            Format::Json => show::value(&document, format),
            Format::Table | Format::Yaml => show::bytes(files.files[0].text.as_bytes()),
        };
    }
    let applied = documents::answered(client.apply(&files).await, &files)?;
    faults::warn(&applied.warnings.0, &files);
    show::applied(&applied)?;
    let disks = document["spec"]["storage"]["disks"].as_array();
    say(&match disks.map(|disks| disks.iter().filter(|disk| disk["keep"] == true).count()) {
        None => format!(
            "`bootcode get hardware {name} -o yaml` shows the document; name its disks before a workflow"
        ),
        Some(0) => format!("`bootcode get hardware {name} -o yaml` shows the document, with its disks"),
        Some(kept) => format!(
            "`bootcode get hardware {name} -o yaml` shows the document; {kept} of its disks are not blank and say `keep: true`: take it away from those that a workflow may write"
        ),
    });
    Ok(())
}

fn parse(mac: &str) -> Result<MacAddr, CliError> {
    mac.parse()
        .map_err(|error: bootcode_core::mac::MacParseError| CliError::NotAMac { message: error.to_string() })
}

fn archs(machine: &Value) -> Vec<ClientArch> {
    let numbers = machine["archs"].as_array().into_iter().flatten();
    numbers.filter_map(|number| serde_json::from_value(number.clone()).ok()).collect()
}

fn disks(machine: &Value) -> Option<&Vec<Value>> {
    machine["inventory"]["disks"].as_array()
}

/// `/dev/vda 10240 MiB ssd, serial S-1, blank`.
fn disk_line(disk: &Value) -> String {
    let mib = disk["sizeBytes"].as_u64().unwrap_or_default() >> 20;
    let mut line = format!("{} {mib} MiB {}", text(&disk["device"]), text(&disk["kind"]));
    for key in ["wwn", "serial"] {
        let value = text(&disk[key]);
        if !value.is_empty() {
            line.push_str(&format!(", {key} {value}"));
        }
    }
    let found = text(&disk["found"]);
    let holds = if disk["blank"] == true {
        "blank"
    } else if found.is_empty() {
        "not blank"
    } else {
        &found
    };
    format!("{line}, {holds}")
}

/// What it calls itself, else its serial number, as much as leaves room for the rest in 80 columns.
fn called(machine: &Value) -> String {
    let said = [&machine["hostname"], &machine["inventory"]["serial"]].map(text);
    said.into_iter().find(|text| !text.is_empty()).unwrap_or_default().chars().take(12).collect()
}

/// `x86_64 uefi`, or what of it is known.
fn firmware(machine: &Value) -> String {
    if let Some(arch) = machine["inventory"]["arch"].as_str() {
        let firmware = if machine["inventory"]["uefi"] == true { "uefi" } else { "bios" };
        return format!("{} {firmware}", arch.chars().take(8).collect::<String>());
    }
    let Some(arch) = archs(machine).into_iter().find(|arch| arch.firmware().is_some()) else {
        return text(&machine["vendorClass"]).chars().take(20).collect();
    };
    let said = [json!(arch.arch()), json!(arch.firmware())];
    said.iter().map(text).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}
