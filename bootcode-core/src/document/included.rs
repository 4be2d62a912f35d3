//! `userData: {file: user-data.yaml}`: texts that stand in files of their own, beside the documents.

use std::{
    collections::{HashMap, HashSet},
    path::{Component, Path, PathBuf},
};

use super::{API_VERSION, tinkerbell::items};
use crate::{
    limits::USER_DATA_BYTES,
    yaml::{self, Content, Fault, Faults, Node, Reveal},
};

/// The fields that may name a file.
const FIELDS: [&str; 2] = ["userData", "vendorData"];

/// The file that a field of a document in `file` names.
///
/// # Errors
/// What is wrong with the name.
fn path_of(file: &str, named: &str) -> Result<String, &'static str> {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if named.is_empty() || !Path::new(named).components().all(inside) {
        return Err(
            "name a file beside the document or in a directory below, without `..`: it is read with the documents",
        );
    }
    let directory = Path::new(file).parent().unwrap_or(Path::new(""));
    let path: PathBuf = directory.join(named).components().collect();
    Ok(path.display().to_string())
}

/// The name as it is compared: `./a/b.yaml` and `a/b.yaml` are one file.
pub(super) fn normal(file: &str) -> String {
    Path::new(file)
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect::<PathBuf>()
        .display()
        .to_string()
}

/// Every field of the document that names a file, and the name.
fn named(document: &Node) -> impl Iterator<Item = (&'static str, &Node)> {
    let ours = document.get("apiVersion").and_then(Node::as_text) == Some(API_VERSION);
    let spec = document.get("spec").filter(|_| ours);
    let field = move |field: &'static str| Some((field, spec?.get(field)?.get("file")?));
    FIELDS.into_iter().filter_map(field)
}

/// The files that documents name for their texts: they are no documents themselves, whatever they are called.
pub(super) fn named_files<'a>(file: &str, documents: impl Iterator<Item = &'a Node>) -> Vec<String> {
    let names = documents.flat_map(named).filter_map(|(_, name)| path_of(file, name.as_text()?).ok());
    names.map(|name| normal(&name)).collect()
}

/// The paths of the files that the documents of a file name, as they would be opened.
pub(super) fn paths_named_in(file: &str, text: &str) -> Vec<String> {
    // Most files name none, and reading each of them twice would cost a second for 10,000 machines.
    if !text.contains("file:") || !FIELDS.iter().any(|field| text.contains(field)) {
        return Vec::new();
    }
    let (documents, _) = yaml::parse_partly(file, text, Reveal::Nothing);
    let documents: Vec<Node> = documents.into_iter().flat_map(items).collect();
    documents
        .iter()
        .flat_map(named)
        .filter_map(|(_, name)| path_of(file, name.as_text()?).ok())
        .map(|path| normal(&path))
        .collect()
}

/// The files that were read, by their names.
pub(super) struct Texts<'a> {
    texts: HashMap<String, &'a str>,
    /// Those that hold documents.
    documents: HashSet<String>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(files: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let texts = files.map(|(name, text)| (normal(name), text)).collect();
        Self { texts, documents: HashSet::new() }
    }

    /// Remembers that a file holds documents.
    pub(super) fn holds_documents(&mut self, file: &str) {
        self.documents.insert(normal(file));
    }

    /// Whether a file is a text that documents name, and holds none itself.
    pub(super) fn is_text(&self, file: &str, named: &HashSet<String>) -> bool {
        let file = normal(file);
        named.contains(&file) && !self.documents.contains(&file)
    }

    /// Puts the texts of the files that a document names where it names them.
    pub(super) fn include(&self, file: &str, document: &mut Node, faults: &mut Faults) {
        let wanted: Vec<(&str, String)> =
            named(document).filter_map(|(field, name)| Some((field, name.as_text()?.to_owned()))).collect();
        for (field, name) in wanted {
            let text = self.text(file, &name);
            let Some(node) = document.get_mut("spec").and_then(|spec| spec.get_mut(field)) else { continue };
            match text {
                Ok(text) => {
                    node.content = Content::Scalar { text: text.into(), plain: false, literal: None };
                }
                Err(message) => {
                    let position = node.nearest("file").position;
                    faults.push(Fault {
                        file: file.to_owned(),
                        line: position.line,
                        column: position.column,
                        path: format!("spec.{field}.file"),
                        message,
                        suggestion: None,
                    });
                    // Read as a mapping it would be a second fault.
                    node.content = Content::Scalar { text: "".into(), plain: false, literal: None };
                }
            }
        }
    }

    fn text(&self, file: &str, name: &str) -> Result<&'a str, String> {
        let path = normal(&path_of(file, name)?);
        let text = self.texts.get(&path).ok_or_else(|| format!("there is no file `{path}`"))?;
        if self.documents.contains(&path) {
            return Err(format!("`{path}` holds documents, so it is no text for a machine"));
        }
        if text.len() > USER_DATA_BYTES {
            return Err(format!("`{path}` has more than {USER_DATA_BYTES} bytes"));
        }
        Ok(text)
    }
}
