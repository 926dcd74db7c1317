//! Words that nobody knows, and the known one that was probably meant.

/// The most edits between a misspelt word and the one that was meant.
const MAX_EDITS: usize = 2;

/// The known word that is most similar to the unknown one, if it is similar enough.
pub fn did_you_mean<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let budget = MAX_EDITS.min(unknown.chars().count() / 2);
    let folded = unknown.to_lowercase().replace('-', "_");
    let near = |word: &&str| word.len().abs_diff(unknown.len()) <= MAX_EDITS * 4;
    known
        .filter(near)
        .map(|word| (edits(&folded, &word.to_lowercase().replace('-', "_")), word))
        .filter(|(distance, _)| *distance <= budget)
        .min()
        .map(|(_, word)| word)
}

/// The number of edits between two words: a character inserted, left out, replaced, or swapped with the next (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}
