//! Which values a fault may repeat.

use crate::limits::FAULT_VALUE_CHARS;

/// Repeats values of documents; of rendered templates only what the author wrote, as the rest may be a secret.
#[derive(Clone, Copy)]
pub(crate) enum Reveal<'a> {
    /// Everything.
    All,
    /// What stands literally in one of these texts.
    WrittenIn(&'a [&'a str]),
    /// Nothing: whoever writes a secret into a document by mistake should not find it in a log too.
    Nothing,
}

impl Reveal<'_> {
    /// Whether this text may be repeated.
    pub(crate) fn allows(self, text: &str) -> bool {
        match self {
            Self::All => true,
            Self::WrittenIn(sources) => sources.iter().any(|source| source.contains(text)),
            Self::Nothing => false,
        }
    }

    /// The text in back quotes, shortened; or words that do not tell it.
    pub(crate) fn quote(self, text: &str) -> String {
        if !self.allows(text) {
            return if matches!(self, Self::Nothing) { "another value" } else { "the rendered value" }
                .to_owned();
        }
        let mut short: String =
            text.chars().take(FAULT_VALUE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if short.len() < text.len() {
            short.push_str("..");
        }
        format!("`{short}`")
    }
}
