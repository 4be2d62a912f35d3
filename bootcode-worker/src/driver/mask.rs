//! Secrets in what an action prints: replaced before anybody sees it.
//!
//! Only the text as it was handed out is known here: what an action prints in another form, as base64 or a part of it, passes.

use bootcode_core::secret::Secret;
use zeroize::Zeroizing;

use crate::limits::{MASKED_BYTES, MASKED_TEXTS};

/// What stands where a secret was.
const MASK: &[u8] = b"***";

/// Replaces secrets in output that comes in pieces.
#[derive(Clone, Default)]
pub(super) struct Mask {
    /// Longest first, so that a secret that holds another one is replaced whole.
    secrets: Vec<Zeroizing<Vec<u8>>>,
    /// The end of what came, which may be the beginning of a secret.
    held: Zeroizing<Vec<u8>>,
}

impl Mask {
    /// Of these secrets, and of each line of those that have several: actions print by lines.
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut texts: Vec<Zeroizing<Vec<u8>>> = secrets
            .into_iter()
            .flat_map(|secret| std::iter::once(secret.reveal()).chain(secret.reveal().lines()))
            .map(str::trim)
            .filter(|text| text.len() >= MASKED_BYTES)
            .map(|text| Zeroizing::new(text.as_bytes().to_vec()))
            .collect();
        texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        texts.dedup();
        texts.truncate(MASKED_TEXTS);
        Self { secrets: texts, held: Zeroizing::default() }
    }

    /// Takes output, gives what can be shown of it.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        self.take(false)
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.take(true)
    }

    /// A whole text.
    pub(super) fn text(&self, text: String) -> String {
        if self.secrets.is_empty() {
            return text;
        }
        let mut mask = Self { secrets: self.secrets.clone(), held: Zeroizing::default() };
        let mut masked = mask.pass(text.as_bytes());
        masked.extend(mask.finish());
        String::from_utf8_lossy(&masked).into_owned()
    }

    fn take(&mut self, ended: bool) -> Vec<u8> {
        if self.secrets.is_empty() {
            return std::mem::take(&mut *self.held);
        }
        let held = std::mem::take(&mut self.held);
        let mut shown = Vec::with_capacity(held.len());
        let mut rest = held.as_slice();
        while let Some(first) = rest.first() {
            if let Some(secret) = self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                shown.extend_from_slice(MASK);
                rest = &rest[secret.len()..];
            } else if !ended && self.secrets.iter().any(|secret| secret.starts_with(rest)) {
                break;
            } else {
                shown.push(*first);
                rest = &rest[1..];
            }
        }
        self.held = Zeroizing::new(rest.to_vec());
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &[&str], parts: &[&[u8]]) -> String {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
        let mut mask = Mask::of(&secrets);
        let mut shown: Vec<u8> = parts.iter().flat_map(|part| mask.pass(part)).collect();
        shown.extend(mask.finish());
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn a_secret_is_replaced_wherever_the_output_is_cut() {
        let output = b"password=hunter2hunter2 and hunter, hunter22\nhunter";
        for first in 0..output.len() {
            for second in first..output.len() {
                let parts = [&output[..first], &output[first..second], &output[second..]];
                let expected = "password=****** and hunter, ***2\nhunter";
                assert_eq!(masked(&["hunter2"], &parts), expected, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn what_is_masked() {
        for (secrets, output, expected) in [
            (&["aab"][..], "aaab", "aaab"),
            (&["aaaab"], "aaaaaab", "aa***"),
            (&["secret", "secret-and-more"], "secret-and-more secret", "*** ***"),
            (&["BEGIN KEY\nline-one\nline-two\n"], "x line-two\nBEGIN KEY\nline-one\nline-two", "x ***\n***"),
            (&["  padded  "], "[padded]", "[***]"),
            (&[""], "text", "text"),
            (&[], "text", "text"),
        ] {
            assert_eq!(masked(secrets, &[output.as_bytes()]), expected, "{secrets:?}");
        }
    }

    #[test]
    fn output_that_is_no_secret_passes_at_once() {
        let mut mask = Mask::of(&[Secret::new("hunter2".to_owned())]);
        assert_eq!(mask.pass(b"a line\n"), b"a line\n");
        assert_eq!(mask.pass(b"hun"), b"");
        assert_eq!(mask.pass(b"gry"), b"hungry");
        assert_eq!(Mask::default().pass(b"hun"), b"hun");
        assert_eq!(mask.text("no hunter2".to_owned()), "no ***");
    }
}
