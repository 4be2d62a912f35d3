//! What is printed: tables for people, YAML and JSON for programs.

use std::io::{self, Write as _};

use bootcode_api::routes::Applied;
use bootcode_core::{document::Kind, yaml};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::{arguments::Format, error::CliError};

/// Prints one line.
pub(crate) fn line(text: &str) -> Result<(), CliError> {
    bytes(format!("{text}\n").as_bytes())
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut output = io::stdout().lock();
    output.write_all(bytes).and_then(|()| output.flush()).map_err(|source| CliError::Output { source })
}

/// Prints a value as YAML or JSON.
pub(crate) fn value(value: &Value, format: Format) -> Result<(), CliError> {
    let text = match format {
        Format::Yaml => {
            yaml::to_string(value).map_err(|error| CliError::Form { message: error.to_string() })?
        }
        Format::Json | Format::Table => {
            let text = serde_json::to_string_pretty(value);
            format!("{}\n", text.map_err(|error| CliError::Form { message: error.to_string() })?)
        }
    };
    bytes(text.as_bytes())
}

/// Prints what an apply did, a line each.
pub(crate) fn applied(applied: &Applied) -> Result<(), CliError> {
    for (what, names) in [
        ("created", &applied.created),
        ("changed", &applied.changed),
        ("deleted", &applied.deleted),
        ("unchanged", &applied.unchanged),
    ] {
        for name in names {
            line(&format!("{what:<9} {name}"))?;
        }
    }
    Ok(())
}

/// Prints documents as a table with the columns of their kind.
pub(crate) fn table(kind: Kind, items: &[Value]) -> Result<(), CliError> {
    if items.is_empty() {
        return line(&format!("there is no {kind}"));
    }
    rows(&columns(kind), items)
}

/// Prints a table of items; where it is no terminal, as wide as it has to be.
pub(crate) fn rows(columns: &[Column], items: &[Value]) -> Result<(), CliError> {
    print(Table::new(), columns, items)
}

/// Prints a table of items that has at most `width` columns: long cells go on in the next line.
pub(crate) fn rows_within(width: usize, columns: &[Column], items: &[Value]) -> Result<(), CliError> {
    let mut table = Table::new();
    // The blanks that are taken away at the edges count in the table's width.
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    print(table, columns, items)
}

fn print(mut table: Table, columns: &[Column], items: &[Value]) -> Result<(), CliError> {
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.iter().map(|(title, _)| *title));
    for item in items {
        table.add_row(columns.iter().map(|(_, cell)| cell(item)));
    }
    for row in table.lines() {
        // The preset pads each cell with a blank on both sides; the first one has nothing to stand off from.
        line(row.strip_prefix(' ').unwrap_or(&row).trim_end())?;
    }
    Ok(())
}

/// A title, and what stands below it.
pub(crate) type Column = (&'static str, fn(&Value) -> String);

fn columns(kind: Kind) -> Vec<Column> {
    let mut columns: Vec<Column> = vec![("NAME", |item| text(&item["metadata"]["name"]))];
    let of_kind: &[Column] = match kind {
        Kind::Network => &[
            ("CIDR", |item| text(&item["spec"]["cidr"])),
            ("DHCP", |item| {
                let mode = &item["spec"]["dhcp"]["mode"];
                if mode.is_null() { "none".to_owned() } else { text(mode) }
            }),
            ("GATEWAY", |item| text(&item["spec"]["gateway"])),
        ],
        Kind::Hardware => &[
            ("MAC", |item| joined(&item["spec"]["interfaces"], "mac")),
            ("ADDRESS", |item| joined(&item["spec"]["interfaces"], "ip")),
            ("PROFILE", |item| text(&item["spec"]["profile"])),
            ("STATE", |item| text(&item["status"]["state"])),
        ],
        Kind::Workflow => &[
            ("MACHINE", |item| text(&item["spec"]["hardware"])),
            ("STATE", |item| text(&item["status"]["state"])),
            ("ACTION", |item| current_action(&item["status"])),
            ("REASON", |item| text(&item["status"]["reason"])),
        ],
        Kind::Profile => &[("OS", |item| text(&item["spec"]["os"]["image"]))],
        Kind::Secret => &[("KEYS", |item| {
            let keys = item["spec"]["keys"].as_object();
            keys.map(|keys| keys.keys().cloned().collect::<Vec<_>>().join(" ")).unwrap_or_default()
        })],
        Kind::Template => &[],
    };
    columns.extend(of_kind);
    columns
}

/// The action that is under way or stopped, else how many are done.
fn current_action(status: &Value) -> String {
    let Some(actions) = status["actions"].as_array() else { return String::new() };
    let done = |action: &&Value| text(&action["state"]).eq_ignore_ascii_case("succeeded");
    match actions.iter().find(|action| !done(action)) {
        Some(action) if action["attempt"].as_u64() > Some(0) => {
            format!("{} #{}", text(&action["name"]), action["attempt"])
        }
        _ => format!("{}/{} done", actions.iter().filter(done).count(), actions.len()),
    }
}

fn joined(list: &Value, key: &str) -> String {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| text(&item[key])).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A scalar's text; nothing for what is absent.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
