//! What SMBIOS says about the machine, as the kernel read it.

use super::{Roots, read};

/// The system's serial number.
pub(super) fn serial(roots: &Roots) -> Option<String> {
    read(&roots.sys.join("class/dmi/id/product_serial")).filter(|text| is_told(text))
}

/// The system's UUID, lower case.
pub(super) fn uuid(roots: &Roots) -> Option<String> {
    let text = read(&roots.sys.join("class/dmi/id/product_uuid"))?.to_ascii_lowercase();
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
    // All zero or all one means "not set" (SMBIOS 7.2.1).
    let set = digits.len() == 32
        && digits.iter().any(|digit| *digit != '0')
        && digits.iter().any(|digit| *digit != 'f');
    set.then_some(text)
}

/// Whether a vendor filled the field in at all.
fn is_told(text: &str) -> bool {
    const EMPTY: [&str; 9] = [
        "none",
        "not specified",
        "not applicable",
        "to be filled by o.e.m.",
        "default string",
        "system serial number",
        "unknown",
        "n/a",
        "0",
    ];
    !EMPTY.contains(&text.to_ascii_lowercase().as_str())
}
