//! Which disks a workflow may write (I12). One pure function, asked on every path.

use super::{
    Armed, DiskReport, Hold, Inventory, disk_match,
    guard::{Guard, holds},
};
use crate::{
    document::{Disk, Overwrite, Storage, WorkflowDocSpec},
    template::{ActionSpec, WorkflowSpec},
};

/// The disks that a workflow may write in this boot, or why it may write none.
///
/// Without `armed`: the disks that the machine's document selects and the template's actions on this machine write. Each must fit exactly one disk of the
/// inventory, and that disk must be blank, or carry the installation that the workflow `replaces`, or the workflow says
/// `overwrite: any`. With `armed`: those, found again by what they are known by, whatever they hold and wherever they are now.
///
/// # Errors
/// The hold that the workflow gets; then no disk may be written, not even those that fit.
pub fn writable(
    machine: &str,
    storage: Option<&Storage>,
    declared: &WorkflowDocSpec,
    spec: &WorkflowSpec,
    armed: &[Armed],
    inventory: &Inventory,
) -> Result<Vec<Armed>, Hold> {
    let disks = storage.map_or(&[][..], |storage| &storage.disks);
    let chosen = if armed.is_empty() {
        select(disks, declared, &spec.writing_on(machine).collect::<Vec<_>>(), inventory)?
    } else {
        armed.iter().map(|armed| find_again(armed, declared, inventory)).collect::<Result<Vec<_>, _>>()?
    };
    for (place, armed) in chosen.iter().enumerate() {
        let fits = |disk: &&Disk| {
            disk.keep
                && (disk.id == armed.id
                    || inventory.disks.iter().any(|found| {
                        found.device == armed.device && disk_match::fits(disk, found).unwrap_or(true)
                    }))
        };
        if let Some(kept) = disks.iter().find(fits) {
            return Err(mismatch(
                &armed.id,
                format!("{} is disk {}, which has keep: true", armed.device, kept.id),
            ));
        }
        if chosen[..place].iter().any(|other| other.device == armed.device) {
            return Err(mismatch(&armed.id, format!("{} is selected twice", armed.device)));
        }
    }
    Ok(chosen)
}

/// The id of the installation on the armed disks, as a worker reported them: each disk's identity and its partition table's id.
/// `None` where a disk is missing or has no table.
#[must_use]
pub fn installation(armed: &[Armed], disks: &[DiskReport]) -> Option<String> {
    if armed.is_empty() {
        return None;
    }
    let parts: Option<Vec<String>> = armed
        .iter()
        .map(|armed| {
            let mut found = disks.iter().filter(|disk| is_known_by(disk, &armed.known_by));
            let disk = found.next().filter(|_| found.next().is_none())?;
            Some(format!("{}@{}", armed.known_by, disk.table_id.as_deref()?))
        })
        .collect();
    Some(parts?.join(","))
}

fn select(
    disks: &[Disk],
    declared: &WorkflowDocSpec,
    writing: &[&ActionSpec],
    inventory: &Inventory,
) -> Result<Vec<Armed>, Hold> {
    let selected = || disks.iter().filter(|disk| !disk.keep);
    for action in writing {
        if let Some(id) = action.writes.iter().flatten().find(|id| !selected().any(|disk| disk.id == **id)) {
            return Err(mismatch(
                id,
                format!("action {} writes it, but the Hardware does not select it", action.name),
            ));
        }
    }
    let wanted =
        |disk: &&Disk| writing.iter().any(|a| a.writes.as_ref().is_none_or(|ids| ids.contains(&disk.id)));
    selected().filter(wanted).map(|disk| choose(disk, declared, inventory)).collect()
}

/// The one disk of the machine that a document's disk names, if it may be written.
fn choose(disk: &Disk, declared: &WorkflowDocSpec, inventory: &Inventory) -> Result<Armed, Hold> {
    let mut fitting = Vec::new();
    for found in &inventory.disks {
        if disk_match::fits(disk, found).map_err(|detail| mismatch(&disk.id, detail))? {
            fitting.push(found);
        }
    }
    let [found] = fitting[..] else {
        let seen = |disks: Vec<&str>| if disks.is_empty() { "no disk".to_owned() } else { disks.join(", ") };
        let detail = match fitting.len() {
            0 => format!(
                "no disk fits; the machine has {}",
                seen(inventory.disks.iter().map(|disk| disk.device.as_str()).collect())
            ),
            _ => format!(
                "more than one disk fits: {}",
                seen(fitting.iter().map(|d| d.device.as_str()).collect())
            ),
        };
        return Err(mismatch(&disk.id, detail));
    };
    let known_by = identities(found)
        .into_iter()
        .find(|known_by| inventory.disks.iter().filter(|other| is_known_by(other, known_by)).count() == 1)
        .ok_or_else(|| mismatch(&disk.id, format!("nothing tells {} from the other disks", found.device)))?;
    let blank = is_blank(found);
    if !is_blank_or_named(declared, &known_by, found) && holds(Guard::BlankOrNamed) {
        return Err(Hold::DiskNotBlank {
            disk: disk.id.clone(),
            device: found.device.clone(),
            found: contents(found),
        });
    }
    let holds = if blank { "blank".to_owned() } else { contents(found) };
    Ok(Armed { id: disk.id.clone(), known_by, device: found.device.clone(), found: holds })
}

/// The armed disk in this boot, whatever it holds by now: nothing but this workflow wrote to it since.
///
/// One that only its node and size tell apart may be another disk now, for nodes change between boots: where the machine has several
/// of that size, it has to be blank or named once more.
fn find_again(armed: &Armed, declared: &WorkflowDocSpec, inventory: &Inventory) -> Result<Armed, Hold> {
    let mut found = inventory.disks.iter().filter(|disk| is_known_by(disk, &armed.known_by));
    let disk = match (found.next(), found.next()) {
        (Some(disk), None) => disk,
        (None, _) => {
            return Err(mismatch(&armed.id, format!("the disk {} that was armed is gone", armed.known_by)));
        }
        (Some(_), Some(_)) => {
            return Err(mismatch(&armed.id, format!("more than one disk is {}", armed.known_by)));
        }
    };
    let by_node = armed.known_by == by_node(disk);
    let alike = inventory.disks.iter().filter(|other| other.size_bytes == disk.size_bytes).count();
    if by_node
        && alike > 1
        && !is_blank_or_named(declared, &armed.known_by, disk)
        && holds(Guard::BlankOrNamed)
    {
        let detail = format!(
            "nothing tells {} from the other disks of its size, and it holds {}",
            disk.device,
            contents(disk)
        );
        return Err(mismatch(&armed.id, detail));
    }
    Ok(Armed { device: disk.device.clone(), ..armed.clone() })
}

fn is_blank(disk: &DiskReport) -> bool {
    disk.blank && disk.table_id.is_none()
}

fn is_blank_or_named(declared: &WorkflowDocSpec, known_by: &str, found: &DiskReport) -> bool {
    is_blank(found) || declared.overwrite == Overwrite::Any || is_replaced(declared, known_by, found)
}

fn is_replaced(declared: &WorkflowDocSpec, known_by: &str, found: &DiskReport) -> bool {
    let (Some(replaces), Some(table)) = (&declared.replaces, &found.table_id) else { return false };
    let carried = format!("{known_by}@{table}");
    replaces.split(',').any(|part| part.trim() == carried)
}

/// How a disk can be known in another boot, the surest first. Nodes alone are no identity: they change between boots.
fn identities(disk: &DiskReport) -> Vec<String> {
    let given =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
    let mut known = Vec::new();
    known.extend(given(&disk.wwn).map(|wwn| format!("wwn:{wwn}")));
    known.extend(given(&disk.serial).map(|serial| format!("serial:{serial}")));
    let stable = disk.paths.iter().filter(|path| path.starts_with("/dev/disk/by-path/"));
    known.extend(stable.map(|path| format!("path:{path}+{}", disk.size_bytes)));
    known.push(by_node(disk));
    known
}

fn by_node(disk: &DiskReport) -> String {
    format!("path:{}+{}", disk.device, disk.size_bytes)
}

fn is_known_by(disk: &DiskReport, known_by: &str) -> bool {
    identities(disk).iter().any(|identity| identity == known_by)
}

fn contents(disk: &DiskReport) -> String {
    match (disk.found.as_str(), &disk.table_id) {
        ("", None) => "data".to_owned(),
        ("", Some(table)) => format!("a partition table {table}"),
        (found, _) => found.to_owned(),
    }
}

fn mismatch(disk: &str, detail: String) -> Hold {
    Hold::DiskMismatch { disk: disk.to_owned(), detail }
}
