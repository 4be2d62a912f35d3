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

/// The fields of `spec` that may name a file.
const FIELDS: [&str; 2] = ["userData", "vendorData"];
/// Each entry of this one, in `spec.instance`, may as well.
const INSTALL: &str = "install";

/// Where a document may name a file.
#[derive(Debug, Clone)]
enum Place {
    Field(&'static str),
    Install(String),
}

impl Place {
    fn keys(&self) -> Vec<&str> {
        match self {
            Self::Field(field) => vec!["spec", field],
            Self::Install(name) => vec!["spec", "instance", INSTALL, name],
        }
    }

    fn in_document<'n>(&self, document: &'n mut Node) -> Option<&'n mut Node> {
        self.keys().into_iter().try_fold(document, Node::get_mut)
    }
}

/// An install file that stands in a file of its own: a fault of its template has its place there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InFile {
    /// Of the install file.
    pub(super) name: String,
    /// As it was given.
    pub(super) file: String,
}

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

/// What is said of a text that is longer than a machine's may be.
pub(super) fn too_long(what: &str) -> String {
    format!(
        "{what} has more than {USER_DATA_BYTES} bytes: put the rest into files that the machine fetches once it runs, as from `/files/`"
    )
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
fn named(document: &Node) -> impl Iterator<Item = (Place, &Node)> {
    let ours = document.get("apiVersion").and_then(Node::as_text) == Some(API_VERSION);
    let spec = document.get("spec").filter(|_| ours);
    let field = move |field: &'static str| Some((Place::Field(field), spec?.get(field)?.get("file")?));
    let install = spec.and_then(|spec| spec.get("instance")?.get(INSTALL)).map(|node| &node.content);
    let entries = match install {
        Some(Content::Mapping(entries)) => entries.as_slice(),
        _ => &[],
    };
    let files = entries
        .iter()
        .filter_map(|(key, value)| Some((Place::Install(key.value.text.to_string()), value.get("file")?)));
    FIELDS.into_iter().filter_map(field).chain(files)
}

/// The files that documents name for their texts: they are no documents themselves, whatever they are called.
pub(super) fn named_files<'a>(file: &str, documents: impl Iterator<Item = &'a Node>) -> Vec<String> {
    let names = documents.flat_map(named).filter_map(|(_, name)| path_of(file, name.as_text()?).ok());
    names.map(|name| normal(&name)).collect()
}

/// The paths of the files that the documents of a file name, as they would be opened.
pub(super) fn paths_named_in(file: &str, text: &str) -> Vec<String> {
    // Most files name none, and reading each of them twice would cost a second for 10,000 machines.
    let may = |field: &&str| text.contains(*field);
    if !text.contains("file:") || !FIELDS.iter().chain([&INSTALL]).any(may) {
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
    /// With their names as they were given.
    texts: HashMap<String, (&'a str, &'a str)>,
    /// Those that hold documents.
    documents: HashSet<String>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(files: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let texts = files.map(|(name, text)| (normal(name), (name, text))).collect();
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

    /// Puts the texts of the files that a document names where it names them. Returns which of its install files came so.
    pub(super) fn include(&self, file: &str, document: &mut Node, faults: &mut Faults) -> Vec<InFile> {
        let wanted: Vec<(Place, String)> =
            named(document).filter_map(|(place, name)| Some((place, name.as_text()?.to_owned()))).collect();
        let mut included = Vec::new();
        for (place, name) in wanted {
            let found = self.text(file, &name);
            let Some(node) = place.in_document(document) else { continue };
            match found {
                Ok((from, text)) => {
                    node.content = Content::Scalar { text: text.into(), plain: false, literal: None };
                    if let Place::Install(name) = place {
                        included.push(InFile { name, file: from.to_owned() });
                    }
                }
                Err(message) => {
                    let position = node.nearest("file").position;
                    faults.push(Fault {
                        file: file.to_owned(),
                        line: position.line,
                        column: position.column,
                        path: format!("{}.file", place.keys().join(".")),
                        message,
                        suggestion: None,
                    });
                    // Read as a mapping it would be a second fault.
                    node.content = Content::Scalar { text: "".into(), plain: false, literal: None };
                }
            }
        }
        included
    }

    /// The name of a file as it was given, and what stands in it.
    fn text(&self, file: &str, name: &str) -> Result<(&'a str, &'a str), String> {
        let path = normal(&path_of(file, name)?);
        let (given, text) = self.texts.get(&path).ok_or_else(|| format!("there is no file `{path}`"))?;
        if self.documents.contains(&path) {
            return Err(format!("`{path}` holds documents, so it is no text for a machine"));
        }
        if text.len() > USER_DATA_BYTES {
            return Err(too_long(&format!("`{path}`")));
        }
        Ok((given, text))
    }
}
