//! The nearest known word.

/// The candidate that is few edits away from `word`, if there is one.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let bound = (length / 3).max(1);
    // Separators are free, so a longer word may still be near; one that is twice as long or half as long is not.
    let may_be_near = |candidate: &&str| {
        let other = candidate.chars().count();
        other <= 2 * length + bound && length <= 2 * other + bound
    };
    candidates
        .into_iter()
        .filter(may_be_near)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words, letter case and word separators free; two swapped neighbours count as one.
fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| -> Vec<char> {
        // Longer words are nobody's misspelling, and the table grows with the square.
        text.chars().filter(|c| !matches!(c, '-' | '_')).take(64).flat_map(char::to_lowercase).collect()
    };
    let (a, b) = (fold(a), fold(b));
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_words_find_theirs_and_others_nothing() {
        let known = ["interfaces", "kernelArgs", "hold", "os"];
        for (word, meant) in [
            ("interface", Some("interfaces")),
            ("kernel_args", Some("kernelArgs")),
            ("kernelargs", Some("kernelArgs")),
            ("hodl", Some("hold")),
            ("so", Some("os")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
