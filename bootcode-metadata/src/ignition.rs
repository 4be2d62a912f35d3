//! Ignition's configuration: the machine's user data where these are one, else host name and keys.

use std::collections::BTreeSet;

use bootcode_core::{document::Hardware, timeline::Reason};
use serde_json::{Value, json};

/// What is served where a machine has no user data, which every Ignition that reads specification 3 does.
const OWN_VERSION: &str = "3.0.0";

/// The configuration of `hardware` whose user data are `text`, for an Ignition that reads versions up to `newest`, as
/// [`newest`] finds it.
///
/// # Errors
/// [`Reason::NotFound`] where the user data are something else, [`Reason::Unsupported`] where they are of a version that
/// Ignition never had, or that the asking one does not read.
pub fn config(hardware: &Hardware, text: Option<&str>, newest: Option<(u32, u32)>) -> Result<String, Reason> {
    let Some(text) = text else { return Ok(own(hardware)) };
    let value: Value = serde_json::from_str(text).map_err(|_| Reason::NotFound)?;
    let version = value.pointer("/ignition/version").ok_or(Reason::NotFound)?;
    let version = version.as_str().and_then(parse).ok_or(Reason::Unsupported)?;
    // 2.x and 3.x are two languages: an Ignition that reads one does not read the other.
    let known = matches!(version, (2, 0..=4) | (3, _));
    let read = newest.is_none_or(|(major, minor)| version.0 == major && version.1 <= minor);
    if known && read { Ok(text.to_owned()) } else { Err(Reason::Unsupported) }
}

/// The newest version that an `Accept` header names: `application/vnd.coreos.ignition+json;version=3.3.0, */*;q=0.1`.
#[must_use]
pub fn newest(accept: &str) -> Option<(u32, u32)> {
    accept
        .split([',', ';'])
        .filter_map(|part| part.trim().strip_prefix("version="))
        .filter_map(|version| parse(version.trim_matches('"')))
        .max()
}

/// `major.minor.patch`; a preview such as `3.6.0-experimental` is none.
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    let (major, minor, _patch) = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some((major, minor))
}

fn own(hardware: &Hardware) -> String {
    let mut config = json!({
        "ignition": {"version": OWN_VERSION},
        "storage": {"files": [{
            "path": "/etc/hostname", "overwrite": true, "mode": 0o644,
            "contents": {"source": format!("data:,{}%0A", hardware.hostname())},
        }]},
    });
    // A key that stands twice makes the whole of it no configuration.
    let keys: BTreeSet<&str> = hardware.spec.ssh_keys.iter().map(|key| key.trim()).collect();
    if !keys.is_empty() {
        config["passwd"] = json!({"users": [{"name": "core", "sshAuthorizedKeys": keys}]});
    }
    format!("{config:#}\n")
}
