//! What must hold for any bytes, one function a parser. A function panics where it does not hold, and does nothing else.
//!
//! ```text
//!  corpus/<target>/* --tests/corpus.rs--> TARGETS   on stable, with every run of the tests
//!  libFuzzer ----------fuzz_targets/*.rs-> TARGETS   cargo fuzz run -s none <target>
//! ```
//!
//! ```
//! let (_, check) = bootcode_fuzz::TARGETS[0];
//! check(b"../etc/passwd");
//! ```

mod boot_loader;
mod dhcp_decode;
mod dhcp_respond;
mod documents;
mod file_name;
mod http_range;
mod ipxe_script;
mod lease_table;
mod metadata_route;
mod oci_manifest;
mod phone_home;
mod template;
mod tftp_packet;
mod tftp_session;
mod token;
mod token_open;

pub use boot_loader::boot_loader;
pub use dhcp_decode::dhcp_decode;
pub use dhcp_respond::dhcp_respond;
pub use documents::documents;
pub use file_name::file_name;
pub use http_range::http_range;
pub use ipxe_script::ipxe_script;
pub use lease_table::lease_table;
pub use metadata_route::metadata_route;
pub use oci_manifest::oci_manifest;
pub use phone_home::phone_home;
pub use template::template;
pub use tftp_packet::tftp_packet;
pub use tftp_session::tftp_session;
pub use token::token;
pub use token_open::token_open;

/// The name of a target, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 16] = [
    ("file_name", file_name),
    ("token", token),
    ("documents", documents),
    ("dhcp_decode", dhcp_decode),
    ("dhcp_respond", dhcp_respond),
    ("tftp_packet", tftp_packet),
    ("tftp_session", tftp_session),
    ("ipxe_script", ipxe_script),
    ("boot_loader", boot_loader),
    ("http_range", http_range),
    ("lease_table", lease_table),
    ("oci_manifest", oci_manifest),
    ("phone_home", phone_home),
    ("metadata_route", metadata_route),
    ("token_open", token_open),
    ("template", template),
];

/// The last line that a fault may be on, by YAML's breaks (1.2.2, 5.4), of which a carriage return alone is one; behind the end of the
/// text is a line, too.
fn lines(text: &str) -> usize {
    let breaks = text.replace("\r\n", "\n").matches(['\n', '\r']).count();
    breaks + if text.is_empty() || text.ends_with(['\n', '\r']) { 1 } else { 2 }
}
