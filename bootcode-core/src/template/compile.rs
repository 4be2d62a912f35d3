//! From the text of a Template's `data` to what a worker is handed.

use super::{
    GoTemplate, TemplateData, WorkflowSpec,
    draft::{Compiler, Draft, Form},
    raw::RawTemplate,
};
use crate::yaml::{self, Fault, Faults, Reveal};

/// The version of the format.
const VERSION: &str = "0.1";

/// Renders a template and reads the result strictly.
///
/// # Errors
/// Every fault; their `file` is `template`, their lines and columns are those of the template, and no message repeats what only the
/// rendering brought in.
pub fn compile(template: &str, source: &str, data: &TemplateData<'_>) -> Result<WorkflowSpec, Faults> {
    let output = GoTemplate { now: data.now }
        .output(source, &data.values)
        .map_err(|error| Faults(vec![error.into_fault(template)]))?;
    read(template, source, output.text(), data).map_err(|mut faults| {
        for fault in &mut faults.0 {
            if let Some((line, column)) = output.origin(source, fault.line, fault.column) {
                (fault.line, fault.column) = (line, column);
            }
        }
        faults.sorted()
    })
}

/// Reads what was rendered; faults have the lines of the rendered text.
fn read(
    template: &str,
    source: &str,
    rendered: &str,
    data: &TemplateData<'_>,
) -> Result<WorkflowSpec, Faults> {
    let written = [source];
    let reveal = Reveal::WrittenIn(&written);
    let documents = yaml::parse_revealing(template, rendered, reveal)?;
    let [document] = documents.as_slice() else {
        return Err(Faults(vec![Fault {
            file: template.to_owned(),
            line: 0,
            column: 0,
            path: String::new(),
            message: format!("a template makes one YAML document, this makes {}", documents.len()),
            suggestion: None,
        }]));
    };
    let mut faults = Faults::default();
    let (raw, read) =
        yaml::read_revealing::<RawTemplate>(template, "", document, reveal, &mut faults, &|_| false);
    let mut compiler = Compiler::new(template, Some(&read), data, reveal, Form::Data);
    compiler.faults = faults;
    if let Some(raw) = &raw
        && raw.version != VERSION
    {
        let version = reveal.quote(&raw.version);
        let message = format!("{version} is no known version of templates: write '{VERSION}'");
        compiler.fault("version", message);
    }
    compiler.finish(raw.map(Draft::from))
}
