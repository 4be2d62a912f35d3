//! Which line of a template a rendered line comes from.

use gotmpl::{
    Template,
    parse::{ListNode, Node},
};

use super::lint::line_column;

/// Stands before and behind a line number in an instrumented rendering; no text holds this noncharacter.
const MARK: char = '\u{10FFFE}';
/// The instrumented tree's name; no template can be called that by mistake.
pub(super) const INSTRUMENTED: &str = "\u{10FFFE}lines";

/// The template with a mark at the beginning of each line of its texts; `None` where a text of its own would be taken for a mark.
pub(super) fn instrument(mut template: Template, source: &str) -> Option<Template> {
    if source.contains(MARK) {
        return None;
    }
    let names: Vec<String> = template.templates().into_iter().map(str::to_owned).collect();
    for name in names {
        let Some(mut tree) = template.lookup(&name).cloned() else { continue };
        mark_list(&mut tree, source);
        let name = if name == template.name() { INSTRUMENTED } else { &name };
        template = template.add_parse_tree(name, tree);
    }
    Some(template)
}

/// For each line of the rendered text, the line that it comes from. Marks are taken out of the way first.
pub(super) fn origins(instrumented: &str) -> Vec<u32> {
    let mut origins = Vec::new();
    let mut last = 1;
    for line in instrumented.split('\n') {
        let mut parts = line.split(MARK);
        let mut own = None;
        // Text and numbers alternate; a number counts for the line as long as no text has come before it.
        let mut text_before = parts.next().unwrap_or_default().len();
        while let Some(number) = parts.next() {
            last = number.parse().unwrap_or(last);
            if text_before == 0 {
                own = Some(last);
            }
            text_before += parts.next().unwrap_or_default().len();
        }
        origins.push(own.unwrap_or(last));
    }
    origins
}

fn mark_list(list: &mut ListNode, source: &str) {
    for node in &mut list.nodes {
        match node {
            Node::List(list) => mark_list(list, source),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                mark_list(&mut branch.body, source);
                if let Some(body) = &mut branch.else_body {
                    mark_list(body, source);
                }
            }
            Node::Define(define) => mark_list(&mut define.body, source),
            Node::Text(text) => {
                // Trim markers may have taken white space away in front of the text.
                let behind = source.get(text.pos.offset..).and_then(|rest| rest.find(&*text.text));
                let (mut line, _) = line_column(source, text.pos.offset + behind.unwrap_or(0));
                let mut marked = format!("{MARK}{line}{MARK}");
                for part in text.text.split_inclusive('\n') {
                    marked.push_str(part);
                    if part.ends_with('\n') {
                        line += 1;
                        marked.push_str(&format!("{MARK}{line}{MARK}"));
                    }
                }
                text.text = marked.into();
            }
            _ => {}
        }
    }
}
