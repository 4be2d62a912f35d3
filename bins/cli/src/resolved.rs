//! A machine as it is in force, and who says each of its fields.

use std::{fmt::Write as _, io};

use bootcode_core::yaml;
use serde_json::Value;

use crate::{
    arguments::Format,
    error::CliError,
    show::{self, text},
    terminal::Form,
};

/// Prints a machine with its Profile's fields: a table, YAML with a comment a field, or JSON with the list `fields` beside `spec`.
pub(crate) fn show(mut document: Value, format: Format) -> Result<(), CliError> {
    let fields = document["fields"].as_array().cloned().unwrap_or_default();
    match format {
        Format::Json => show::value(&document, format),
        Format::Table => show::rows_within(
            Form::of(&io::stdout()).width,
            &[
                ("FIELD", |field| text(&field["path"])),
                ("VALUE", |field| text(&field["value"])),
                ("FROM", origin),
            ],
            &fields,
        ),
        Format::Yaml => {
            if let Some(document) = document.as_object_mut() {
                document.remove("fields");
            }
            let mut out =
                yaml::to_string(&document).map_err(|error| CliError::Form { message: error.to_string() })?;
            for field in &fields {
                let _ = writeln!(out, "# {}: {}", text(&field["path"]), origin(field));
            }
            show::bytes(out.as_bytes())
        }
    }
}

/// `Hardware`, `Profile small` or `default`.
fn origin(field: &Value) -> String {
    let name = text(&field["origin"]["name"]);
    match text(&field["origin"]["from"]).as_str() {
        "profile" => format!("Profile {name}"),
        "hardware" => "Hardware".to_owned(),
        other => other.to_owned(),
    }
}
