//! Names that came from a file or a user: printed safely, and compared with the known ones.

/// Longest part of a foreign name that a message shows, in characters.
const SHOWN_CHARS: usize = 100;

/// `name` with control characters escaped and cut to a length that fits a message.
pub(crate) fn shown(name: &str) -> String {
    clipped(name, SHOWN_CHARS)
}

/// `text` with control characters escaped, and no more than `most` of its characters.
pub(crate) fn clipped(text: &str, most: usize) -> String {
    let escaped = |c: char| match c {
        '"' | '\'' => String::from(c),
        _ => c.escape_debug().to_string(),
    };
    let mut characters = text.chars();
    let mut clipped: String = characters.by_ref().take(most).map(escaped).collect();
    if characters.next().is_some() {
        clipped.push('…');
    }
    clipped
}

/// ` (did you mean `x`?)` for a message, or nothing.
pub(crate) fn did_you_mean(closest: Option<&str>) -> String {
    closest.map_or_else(String::new, |name| {
        format!(" (did you mean `{}`?)", shown(name))
    })
}

/// The candidate nearest to `name` by edit distance, if a third of the name or less differs.
pub(crate) fn closest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if name.len() > SHOWN_CHARS {
        return None;
    }
    let most = name.len().div_ceil(3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= most)
        .map(|candidate| {
            (
                edit_distance(name.as_bytes(), candidate.as_bytes()),
                candidate,
            )
        })
        .filter(|&(distance, _)| distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance: fewest insertions, deletions and substitutions from `a` to `b`.
fn edit_distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
