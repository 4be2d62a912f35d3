//! From text to nodes, within bounds. Nothing here recurses over the input.

use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Span, Tag};

use super::{
    Fault, Faults, Reveal,
    node::{Content, Key, Located, Node, Position},
};
use crate::limits::{YAML_ALIAS_NODES, YAML_DEPTH, YAML_FILE_BYTES, YAML_NODES};

/// Reads every document of a file; empty ones are left out.
///
/// # Errors
/// The first fault of syntax, a duplicate key, or a bound that the text exceeds.
pub fn parse_documents(file: &str, text: &str) -> Result<Vec<Node>, Faults> {
    parse_revealing(file, text, Reveal::All)
}

/// The bytes of a file as text.
///
/// # Errors
/// A fault with the line of the first byte that is no UTF-8.
pub fn utf8<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Faults> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        let message = "the file is no UTF-8 text: save it as UTF-8".to_owned();
        Faults(vec![fault(file, position_of(line, column), message)])
    })
}

/// The same with a say in what faults may repeat.
pub(crate) fn parse_revealing(file: &str, text: &str, reveal: Reveal<'_>) -> Result<Vec<Node>, Faults> {
    let (documents, faults) = parse_partly(file, text, reveal);
    faults.or_ok(documents)
}

/// The documents before the first fault, and that fault.
pub(crate) fn parse_partly<'a>(file: &str, text: &'a str, reveal: Reveal<'a>) -> (Vec<Node>, Faults) {
    let mut faults = Faults::default();
    if text.len() > YAML_FILE_BYTES {
        let message =
            format!("the file has {} bytes, more than {YAML_FILE_BYTES}: split it into several", text.len());
        faults.push(fault(file, Position::default(), message));
        return (Vec::new(), faults);
    }
    let (builder, refused) = build(file, text, reveal);
    faults.extend(refused);
    (builder.documents, faults)
}

/// How many nodes a text made, how many of them aliases repeated, and what was wrong.
#[cfg(test)]
pub(super) fn work_of(text: &str) -> (usize, usize, Option<String>) {
    let (builder, faults) = build("t.yaml", text, Reveal::All);
    (builder.nodes, builder.aliased, faults.iter().next().map(ToString::to_string))
}

fn build<'a>(file: &str, text: &'a str, reveal: Reveal<'a>) -> (Builder<'a>, Faults) {
    let mut faults = Faults::default();
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: YAML_DEPTH,
        block_nesting_limit: YAML_DEPTH,
    };
    let mut builder = Builder::new(text, reveal);
    for event in Parser::new_from_str_with_options(text, options) {
        let result = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                let mark = error.marker();
                Err(Refusal {
                    position: position_of(mark.line(), mark.col() + 1),
                    message: format!("no valid YAML: {}", error.info()),
                })
            }
        };
        if let Err(refusal) = result {
            faults.push(fault(file, refusal.position, refusal.message));
            break;
        }
    }
    (builder, faults)
}

fn fault(file: &str, position: Position, message: String) -> Fault {
    Fault {
        file: file.to_owned(),
        line: position.line,
        column: position.column,
        path: String::new(),
        message,
        suggestion: None,
    }
}

fn position_of(line: usize, column: usize) -> Position {
    let bounded = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: bounded(line), column: bounded(column) }
}

struct Refusal {
    position: Position,
    message: String,
}

/// A collection that is not closed yet.
struct Open {
    position: Position,
    id: u32,
    anchor: usize,
    first_node: usize,
    filling: Filling,
}

enum Filling {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<(Located<Key>, Node)>,
        seen: HashSet<Box<str>>,
        key: Option<Located<Key>>,
        merges: Vec<Node>,
    },
}

struct Builder<'a> {
    text: &'a str,
    reveal: Reveal<'a>,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    aliased: usize,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, reveal: Reveal<'a>) -> Self {
        Self {
            text,
            reveal,
            documents: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            aliased: 0,
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Refusal> {
        let position = position_of(span.start.line(), span.start.col() + 1);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !is_text(tag.as_deref(), position)?;
                let literal = match style {
                    ScalarStyle::Literal => Some(literal_start(self.text, &span)),
                    _ => unescaped_start(self.text, &span, &text),
                };
                let id = self.count(position)?;
                let content = Content::Scalar { text: text.into(), plain, literal };
                self.place(Node { position, content, id }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                is_text(tag.as_deref(), position)?;
                self.start(position, anchor, Filling::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                is_text(tag.as_deref(), position)?;
                let filling = Filling::Mapping {
                    entries: Vec::new(),
                    seen: HashSet::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.start(position, anchor, filling)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor) else {
                    let message = "an alias inside the value that it names".to_owned();
                    return Err(Refusal { position, message });
                };
                let (mut node, size) = (node.clone(), *size);
                node.position = position;
                self.alias(size, position)?;
                self.place(node, 0, size)
            }
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, position: Position) -> Result<u32, Refusal> {
        self.nodes += 1;
        match u32::try_from(self.nodes) {
            Ok(id) if self.nodes <= YAML_NODES => Ok(id),
            _ => Err(Refusal {
                position,
                message: format!("more than {YAML_NODES} values in one file: split it into several"),
            }),
        }
    }

    fn alias(&mut self, size: usize, position: Position) -> Result<(), Refusal> {
        self.aliased += size;
        if self.aliased <= YAML_ALIAS_NODES {
            return Ok(());
        }
        let message = format!("aliases repeat more than {YAML_ALIAS_NODES} values: write them out");
        Err(Refusal { position, message })
    }

    fn start(&mut self, position: Position, anchor: usize, filling: Filling) -> Result<(), Refusal> {
        if self.open.len() >= YAML_DEPTH {
            return Err(Refusal { position, message: format!("nested deeper than {YAML_DEPTH}") });
        }
        let first_node = self.nodes + self.aliased;
        let id = self.count(position)?;
        self.open.push(Open { position, id, anchor, first_node, filling });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let content = match open.filling {
            Filling::Sequence(items) => Content::Sequence(items),
            Filling::Mapping { mut entries, mut seen, merges, .. } => {
                for (key, value) in merges.into_iter().flat_map(merged_entries) {
                    if seen.insert(key.value.text.clone()) {
                        entries.push((key, value));
                    }
                }
                Content::Mapping(entries)
            }
        };
        let size = self.nodes + self.aliased - open.first_node;
        self.place(Node { position: open.position, content, id: open.id }, open.anchor, size)
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Refusal> {
        if anchor > 0 {
            // The copy that is kept costs as much as an alias does.
            self.alias(size, node.position)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            if !node.is_null() {
                self.documents.push(node);
            }
            return Ok(());
        };
        match &mut open.filling {
            Filling::Sequence(items) => items.push(node),
            Filling::Mapping { entries, seen, key, merges } => match key.take() {
                None => *key = Some(key_of(node)?),
                Some(k) if &*k.value.text == "<<" && !matches!(node.content, Content::Scalar { .. }) => {
                    merges.push(node);
                }
                Some(k) => {
                    if !seen.insert(k.value.text.clone()) {
                        let name = self.reveal.quote(&k.value.text);
                        let message = format!("the key {name} stands here twice");
                        return Err(Refusal { position: k.position, message });
                    }
                    entries.push((k, node));
                }
            },
        }
        Ok(())
    }
}

fn key_of(node: Node) -> Result<Located<Key>, Refusal> {
    match node.content {
        Content::Scalar { text, .. } => {
            Ok(Located { position: node.position, value: Key { text, id: node.id } })
        }
        _ => Err(Refusal {
            position: node.position,
            message: "a key must be a single value; braces in a template need quotes around them".to_owned(),
        }),
    }
}

/// Where the first line of a literal block's text begins.
fn literal_start(text: &str, span: &Span) -> Position {
    let from = span.start.byte_offset().and_then(|at| text.get(at..)).unwrap_or_default();
    let in_header = from.starts_with('|');
    let mut lines = from.lines().skip(usize::from(in_header));
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let column = if in_header {
        lines.find(|line| !line.trim().is_empty()).map_or(1, |line| indent(line) + 1)
    } else {
        span.start.col() + 1
    };
    position_of(span.start.line() + usize::from(in_header), column)
}

/// Where the text of a scalar of one line begins, if the file has it letter by letter.
fn unescaped_start(file: &str, span: &Span, text: &str) -> Option<Position> {
    let from = file.get(span.start.byte_offset()?..)?;
    let inside = from.trim_start_matches(['"', '\'']);
    let quotes = from.len() - inside.len();
    let same = quotes <= 1 && !text.is_empty() && inside.starts_with(text) && !text.contains('\n');
    same.then(|| position_of(span.start.line(), span.start.col() + 1 + quotes))
}

/// What a merge key (`<<`) brings: a mapping's entries, or those of a list of mappings.
fn merged_entries(node: Node) -> Vec<(Located<Key>, Node)> {
    match node.content {
        Content::Mapping(entries) => entries,
        Content::Sequence(items) => items.into_iter().flat_map(merged_entries).collect(),
        Content::Scalar { .. } => Vec::new(),
    }
}

/// Whether the tag says text. Other tags than the core schema's have no meaning here.
fn is_text(tag: Option<&Tag>, position: Position) -> Result<bool, Refusal> {
    match tag.map(|tag| (tag, tag.core_suffix())) {
        None => Ok(false),
        Some((_, Some("str"))) => Ok(true),
        Some((_, Some("int" | "float" | "bool" | "null" | "map" | "seq"))) => Ok(false),
        Some((tag, _)) if tag.original() == "!" => Ok(true),
        Some(_) => {
            let message = "tags have no meaning here: remove the word that begins with `!`".to_owned();
            Err(Refusal { position, message })
        }
    }
}
