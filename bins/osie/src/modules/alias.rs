//! `modules.alias`: which module drives which device.

use std::collections::BTreeSet;

use super::module_name;

/// The table `modules.alias`: patterns of device names (`modalias`) and the module for each.
#[derive(Debug, Clone, Default)]
pub struct AliasTable {
    aliases: Vec<(String, String)>,
}

impl AliasTable {
    /// Reads lines `alias PATTERN MODULE`; others are skipped.
    pub fn parse(text: &str) -> Self {
        let aliases = text.lines().filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("alias"), Some(pattern), Some(module)) => {
                    Some((pattern.to_owned(), module_name(module)))
                }
                _ => None,
            }
        });
        Self { aliases: aliases.collect() }
    }

    /// The modules for a device, by normalised name, sorted.
    pub fn modules_for(&self, modalias: &str) -> BTreeSet<String> {
        let fitting = self.aliases.iter().filter(|(pattern, _)| glob_match(pattern, modalias));
        fitting.map(|(_, module)| module.clone()).collect()
    }

    /// The table's own text again, holding only the lines of `modules`.
    pub fn render(&self, modules: &[String]) -> String {
        let kept = self.aliases.iter().filter(|(_, module)| modules.contains(module));
        kept.map(|(pattern, module)| format!("alias {pattern} {module}\n")).collect()
    }
}

/// Whether `text` fits a pattern of fnmatch(3): `*`, `?` and `[..]` (with ranges and `!`).
///
/// Runs in time proportional to the product of the two lengths at worst: after a mismatch only the last `*` is tried again.
pub fn glob_match(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some(next) = match_one(pattern, p, text[t]) {
            (p, t) = (next, t + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, t) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Matches one byte at `p`; gives where the pattern goes on.
fn match_one(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match *pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => {
            let close = p + 2 + pattern.get(p + 2..)?.iter().position(|&end| end == b']')?;
            let set = &pattern[p + 1..close];
            let (negated, set) = set.strip_prefix(b"!").map_or((false, set), |rest| (true, rest));
            (in_set(set, byte) != negated).then_some(close + 1)
        }
        literal => (literal == byte).then_some(p + 1),
    }
}

fn in_set(mut set: &[u8], byte: u8) -> bool {
    loop {
        set = match *set {
            [low, b'-', high, ref rest @ ..] => {
                if (low..=high).contains(&byte) {
                    return true;
                }
                rest
            }
            [one, ref rest @ ..] => {
                if one == byte {
                    return true;
                }
                rest
            }
            [] => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_fnmatch_does() {
        let cases = [
            ("pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00", true),
            ("pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00008086d00001000sv00001AF4sd00000001bc02sc00i00", false),
            ("virtio:d00000001v*", "virtio:d00000001v00001AF4", true),
            ("virtio:d00000001v*", "virtio:d00000002v00001AF4", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[0-3]x", "2x", true),
            ("[!0-3]x", "2x", false),
            ("[]]", "]", true),
            ("[ab", "a", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xaxxbc", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(glob_match(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_device_names_its_modules_and_a_rendered_table_keeps_only_the_asked_ones() {
        let table =
            AliasTable::parse("# c\nalias virtio:d00000001v* virtio-net\nalias pci:* virtio_pci\nalias x\n");
        assert!(table.modules_for("virtio:d00000001v1").contains("virtio_net"));
        let kept = AliasTable::parse(&table.render(&["virtio_pci".to_owned()]));
        assert!(kept.modules_for("virtio:d00000001v1").is_empty());
        assert!(kept.modules_for("pci:v1").contains("virtio_pci"));
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_on_any_text_ends_without_a_panic(pattern in "[a-c*?\\[\\]!-]{0,30}", text in "[a-c]{0,30}") {
            glob_match(&pattern, &text);
            proptest::prop_assert!(glob_match("*", &text));
            proptest::prop_assert!(glob_match(&text, &text));
        }
    }
}
