//! `spec` of Tinkerbell's kinds, with every field that its v1alpha1 API has (tinkerbell/tinkerbell, api/v1alpha1/tinkerbell).
//! All are optional there, and `null` means that a field is not written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An object by the names of its keys, strict.
macro_rules! object {
    ($name:ident { $($field:ident $key:literal: $type:ty,)* }) => {
        #[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name {
            $(#[serde(rename = $key, skip_serializing_if = "Option::is_none")] pub(super) $field: Option<$type>,)*
        }
    };
}

object!(Hardware {
    agent_id "agentID": String,
    auto "auto": Auto,
    bmc_ref "bmcRef": ObjectRef,
    interfaces "interfaces": Vec<Interface>,
    references "references": BTreeMap<String, Reference>,
    metadata "metadata": Metadata,
    tink_version "tinkVersion": i64,
    disks "disks": Vec<Disk>,
    resources "resources": BTreeMap<String, String>,
    user_data "userData": String,
    vendor_data "vendorData": String,
});
object!(Auto { enrollment "enrollmentEnabled": bool, });
object!(ObjectRef { api_group "apiGroup": String, kind "kind": String, name "name": String, });
object!(Reference {
    namespace "namespace": String,
    name "name": String,
    group "group": String,
    version "version": String,
    resource "resource": String,
});
object!(Disk { device "device": String, });

object!(Interface {
    netboot "netboot": Netboot,
    isoboot "isoboot": Isoboot,
    dhcp "dhcp": Dhcp,
    disable_dhcp "disableDhcp": bool,
});
object!(Isoboot { source_iso "sourceISO": String, });
object!(Dhcp {
    mac "mac": String,
    hostname "hostname": String,
    domain_name "domain_name": String,
    lease_time "lease_time": i64,
    name_servers "name_servers": Vec<String>,
    time_servers "time_servers": Vec<String>,
    arch "arch": String,
    uefi "uefi": bool,
    iface_name "iface_name": String,
    ip "ip": Ip,
    vlan_id "vlan_id": String,
    routes "classless_static_routes": Vec<Route>,
    tftp_server_name "tftp_server_name": String,
    boot_file_name "boot_file_name": String,
});
object!(Ip {
    address "address": String,
    netmask "netmask": String,
    gateway "gateway": String,
    family "family": i64,
});
object!(Route { destination "destination_descriptor": String, router "router": String, });
object!(Netboot {
    allow_pxe "allowPXE": bool,
    allow_workflow "allowWorkflow": bool,
    ipxe "ipxe": Ipxe,
    osie "osie": Osie,
    pxelinux "pxelinux": Pxelinux,
    rpi "rpi": Rpi,
});
object!(Ipxe { url "url": String, contents "contents": String, binary "binary": String, });
object!(Osie {
    base_url "baseURL": String,
    kernel "kernel": String,
    initrd "initrd": String,
    kernel_params "kernelParams": Vec<String>,
});
object!(Pxelinux { config "config": String, });
object!(Rpi {
    config_txt "configTxt": String,
    firmware_path "firmwarePath": String,
    serial_num "serialNum": String,
});

object!(Metadata {
    state "state": String,
    bonding_mode "bonding_mode": i64,
    manufacturer "manufacturer": Manufacturer,
    custom "custom": Custom,
    facility "facility": Facility,
    instance "instance": Instance,
});
object!(Manufacturer { id "id": String, slug "slug": String, });
object!(Custom {
    preinstalled "preinstalled_operating_system_version": OperatingSystem,
    private_subnets "private_subnets": Vec<String>,
});
object!(Facility {
    plan_slug "plan_slug": String,
    plan_version_slug "plan_version_slug": String,
    facility_code "facility_code": String,
});
object!(Instance {
    id "id": String,
    state "state": String,
    hostname "hostname": String,
    allow_pxe "allow_pxe": bool,
    rescue "rescue": bool,
    operating_system "operating_system": OperatingSystem,
    always_pxe "always_pxe": bool,
    ipxe_script_url "ipxe_script_url": String,
    ips "ips": Vec<InstanceIp>,
    userdata "userdata": String,
    crypted_root_password "crypted_root_password": String,
    tags "tags": Vec<String>,
    storage "storage": Storage,
    ssh_keys "ssh_keys": Vec<String>,
    network_ready "network_ready": bool,
});
object!(OperatingSystem {
    slug "slug": String,
    distro "distro": String,
    version "version": String,
    image_tag "image_tag": String,
    os_slug "os_slug": String,
});
object!(InstanceIp {
    address "address": String,
    netmask "netmask": String,
    gateway "gateway": String,
    family "family": i64,
    public "public": bool,
    management "management": bool,
});
object!(Storage {
    disks "disks": Vec<StorageDisk>,
    raid "raid": Vec<Raid>,
    filesystems "filesystems": Vec<Filesystem>,
});
object!(StorageDisk {
    device "device": String,
    wipe_table "wipe_table": bool,
    partitions "partitions": Vec<Partition>,
});
object!(Partition {
    label "label": String,
    number "number": i64,
    size "size": i64,
    start "start": i64,
    type_guid "type_guid": String,
});
object!(Raid {
    name "name": String,
    level "level": String,
    devices "devices": Vec<String>,
    spare "spare": i64,
});
object!(Filesystem { mount "mount": Mount, });
object!(Mount {
    device "device": String,
    format "format": String,
    point "point": String,
    files "files": Vec<MountFile>,
    create "create": MountCreate,
});
object!(MountFile {
    path "path": String,
    contents "contents": String,
    mode "mode": i64,
    uid "uid": i64,
    gid "gid": i64,
});
object!(MountCreate { force "force": bool, options "options": Vec<String>, });

object!(Template { data "data": String, });

object!(Workflow {
    template_ref "templateRef": String,
    hardware_ref "hardwareRef": String,
    hardware_map "hardwareMap": BTreeMap<String, String>,
    disabled "disabled": bool,
    boot_options "bootOptions": BootOptions,
});
object!(BootOptions {
    toggle_allow_netboot "toggleAllowNetboot": bool,
    boot_mode "bootMode": String,
    iso_url "isoURL": String,
    customboot "custombootConfig": Value,
});
