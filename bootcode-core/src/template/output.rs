//! The rendered text, and where in the template each part of it comes from.

use super::{
    lint::line_column,
    work::{Fail, Work},
};
use crate::limits::RENDERED_BYTES;

/// A run of the rendered text.
#[derive(Debug, Clone, Copy)]
struct Segment {
    /// Its first byte in the rendered text.
    at: usize,
    /// Its first byte in the template, or that of the action that printed it.
    source: usize,
    /// Whether it stands in the template as it is.
    literal: bool,
}

/// What a rendering has printed so far.
#[derive(Debug, Default)]
pub(super) struct Output {
    text: String,
    segments: Vec<Segment>,
}

impl Output {
    /// Text of the template; `source` is its place there.
    pub(super) fn literal(&mut self, text: &str, source: usize, work: &Work) -> Result<(), Fail> {
        self.push(text, Segment { at: self.text.len(), source, literal: true }, work)
    }

    /// What the action at `source` prints.
    pub(super) fn printed(&mut self, text: &str, source: usize, work: &Work) -> Result<(), Fail> {
        self.push(text, Segment { at: self.text.len(), source, literal: false }, work)
    }

    fn push(&mut self, text: &str, segment: Segment, work: &Work) -> Result<(), Fail> {
        if self.text.len() + text.len() > RENDERED_BYTES {
            return Err(Fail::PrintsTooMuch);
        }
        work.read(text.len())?;
        if !text.is_empty() {
            self.segments.push(segment);
            self.text.push_str(text);
        }
        Ok(())
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The template's line and column that made this line and column of the rendered text; all count from 1.
    pub(super) fn origin(&self, source: &str, line: u32, column: u32) -> Option<(u32, u32)> {
        let skipped = usize::try_from(line).ok()?.checked_sub(1)?;
        let start = match skipped {
            0 => 0,
            _ => self.text.match_indices('\n').nth(skipped - 1)?.0 + 1,
        };
        let columns = usize::try_from(column).ok()?.saturating_sub(1);
        let within =
            self.text[start..].char_indices().nth(columns).map_or(self.text.len() - start, |(n, _)| n);
        let offset = start + within;
        let behind = self.segments.partition_point(|segment| segment.at <= offset);
        let segment = self.segments.get(behind.checked_sub(1)?)?;
        let inside = if segment.literal { offset - segment.at } else { 0 };
        Some(line_column(source, segment.source + inside))
    }
}
