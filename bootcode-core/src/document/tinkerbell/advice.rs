//! Fields of Tinkerbell's documents that have no meaning here, and what to use instead.

use serde_json::Value;

/// The path of a field below `spec`, `[]` for every entry of a list, and what its warning says.
pub(super) type Advice = (&'static str, &'static str);

const TEMPLATES_ONLY: &str = "nothing but templates sees it";
const SCRIPT: &str = "write it as `netboot.ipxe.url` of the interface that boots";
const OSIE: &str =
    "the server has one OSIE for all machines: name it as `osie` in the server's configuration";
const BOOT_FILE: &str =
    "what a machine loads is decided from its architecture and its work, or by `netboot:` in its Hardware";
const POWER: &str =
    "BMCs are not driven: let the machine's boot order begin with the network, and power it on yourself";

/// Of a Hardware.
pub(super) const HARDWARE: &[Advice] = &[
    (
        "auto.enrollmentEnabled",
        "a Network with `unknown: record` lists machines without a Hardware, and `bootcode adopt MAC` takes one in",
    ),
    ("bmcRef", POWER),
    ("resources", "nothing is scheduled by it: use labels"),
    ("tinkVersion", "remove it"),
    ("interfaces[].isoboot", "machines boot from the network, not from an ISO"),
    ("interfaces[].dhcp.vlan_id", "tag at the switch, and serve the VLAN with an interface of its own"),
    ("interfaces[].dhcp.tftp_server_name", BOOT_FILE),
    ("interfaces[].dhcp.boot_file_name", BOOT_FILE),
    ("interfaces[].netboot.osie.baseURL", OSIE),
    ("interfaces[].netboot.osie.kernel", OSIE),
    ("interfaces[].netboot.osie.initrd", OSIE),
    ("interfaces[].netboot.pxelinux", "U-Boot's configuration is not served"),
    (
        "interfaces[].netboot.rpi",
        "a Raspberry Pi's loader gets its files, `config.txt` among them, from the server's `files:`",
    ),
    ("metadata.state", TEMPLATES_ONLY),
    ("metadata.bonding_mode", "bonds are not configured: write them in `userData`"),
    ("metadata.manufacturer", TEMPLATES_ONLY),
    ("metadata.custom", TEMPLATES_ONLY),
    (
        "metadata.facility",
        "nothing but templates sees it; what a kernel should be told belongs in `kernelParams`",
    ),
    (
        "metadata.instance.id",
        "metadata tells the id of the installation, until there is one `i-` and the machine's name",
    ),
    ("metadata.instance.state", TEMPLATES_ONLY),
    ("metadata.instance.allow_pxe", "`netboot.allowPXE` of the interface decides"),
    ("metadata.instance.always_pxe", "`netboot.allowPXE` of the interface decides"),
    ("metadata.instance.rescue", "there is no rescue system"),
    (
        "metadata.instance.operating_system",
        "what is installed is said by the Template, or by `os` of a Hardware of bootcode/v1",
    ),
    ("metadata.instance.ipxe_script_url", SCRIPT),
    ("metadata.instance.ips", "the addresses of `interfaces` are those of the machine"),
    (
        "metadata.instance.crypted_root_password",
        "set the password with `userData`; a value here can be read by whoever reads documents",
    ),
    ("metadata.instance.network_ready", TEMPLATES_ONLY),
    ("metadata.instance.storage.raid", "arrays are not made"),
    ("metadata.instance.storage.disks[].partitions[].start", "partitions follow each other"),
    (
        "metadata.instance.storage.disks[].partitions[].type_guid",
        "the type is taken from the label: BIOS, EFI, SWAP or any other",
    ),
    ("metadata.instance.storage.filesystems[].mount.files", "write files with `userData` or an action"),
    (
        "metadata.instance.storage.filesystems[].mount.create.force",
        "only blank disks are written, and those that a Workflow may replace",
    ),
    (
        "metadata.instance.storage.disks[].wipe_table",
        "only blank disks are written, and those that a Workflow may replace",
    ),
];

/// Of a Workflow.
pub(super) const WORKFLOW: &[Advice] = &[
    ("bootOptions.bootMode", POWER),
    ("bootOptions.isoURL", POWER),
    ("bootOptions.custombootConfig", POWER),
];

/// The warnings for what `spec` says: path and text. Go's zero values are not told from fields that are not written.
pub(super) fn warnings(table: &[Advice], spec: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (pattern, advice) in table {
        let key = pattern.rsplit('.').next().unwrap_or(pattern);
        visit("spec", pattern, spec, &mut |path| {
            found.push((path, format!("`{key}` has no meaning here: {advice}")));
        });
    }
    found
}

fn visit(path: &str, pattern: &str, value: &Value, found: &mut impl FnMut(String)) {
    let (step, rest) = pattern.split_once('.').map_or((pattern, None), |(step, rest)| (step, Some(rest)));
    let (key, is_list) = step.strip_suffix("[]").map_or((step, false), |key| (key, true));
    let Some(child) = value.get(key) else { return };
    let path = format!("{path}.{key}");
    match (rest, child) {
        (Some(rest), Value::Array(items)) if is_list => {
            for (n, item) in items.iter().enumerate() {
                visit(&format!("{path}[{n}]"), rest, item, found);
            }
        }
        (Some(rest), child) => visit(&path, rest, child, found),
        (None, child) if is_zero(child) => {}
        (None, _) => found(path),
    }
}

/// Whether Go leaves the value out (`omitempty`).
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.values().all(is_zero),
    }
}
