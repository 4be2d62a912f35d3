use std::collections::BTreeMap;

use bootcode_core::{
    document::{Hardware, merge},
    limits::{FAULTS, RENDERED_BYTES},
    template::{GoTemplate, RenderError, Renderer as _, TemplateData, compile, lint},
};

/// Stands in the data and never in a corpus: what only a rendering brings in is a secret.
const SECRET: &str = "hunter2-hunter2";

/// A template is rendered within its bounds or refused in words without values, the same each time.
pub fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines = u32::try_from(crate::lines(text)).unwrap_or(u32::MAX);
    let spec = format!(
        "{{\"userData\": \"{SECRET}\", \"interfaces\": [{{\"id\": \"nic0\", \"mac\": \"52:54:00:00:00:01\"}}], \
         \"storage\": {{\"disks\": [{{\"id\": \"a\", \"device\": \"/dev/vda\"}}]}}}}"
    );
    let spec = spec.parse().expect("a spec");
    let spec = merge("node-1", None, &spec).expect("a machine");
    let machine = Hardware { name: "node-1".to_owned(), labels: BTreeMap::new(), spec };
    let resolve = |worker: &str| Some(worker.to_owned());
    let data = TemplateData::new(&machine, &BTreeMap::new(), &resolve);
    let compiled = compile("fuzz", text, &data);
    if let Err(faults) = &compiled {
        assert!(!faults.is_empty() && faults.len() <= FAULTS);
        for fault in faults {
            assert!(fault.line <= lines, "{fault} of {lines} lines");
            assert!(text.contains(SECRET) || !fault.to_string().contains(SECRET), "{fault}");
        }
    }
    assert_eq!(compile("fuzz", text, &data), compiled);
    let rendered = GoTemplate::default().render(text, &serde_json::json!({"device_1": "x"}));
    match (lint(text), rendered) {
        (Err(linted), rendered) => assert_eq!(rendered, Err(linted), "what the lint refuses is not rendered"),
        (Ok(()), Ok(printed)) => assert!(printed.len() <= RENDERED_BYTES),
        (Ok(()), Err(error)) => {
            assert!(!matches!(error, RenderError::Syntax { .. }), "the lint passed {error}")
        }
    }
}
