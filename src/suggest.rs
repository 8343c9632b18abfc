//! Suggestions for misspelled names: "Did you mean …".
//!
//! Pure functions over texts. Every module that refuses an unknown name words its refusal here.

/// Characters of the longest name that a suggestion is sought for.
const MAX_NAME: usize = 64;

/// Returns the known name that is most like `name`, if one is like enough. Case, `_` and `-` do not
/// count, so that `workflowId` finds `workflow_id`.
#[must_use]
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return None;
    }
    let wanted = folded(name);
    let distances = known.iter().map(|known| {
        let candidate = folded(known);
        let is_beginning = wanted.len() >= 2 && candidate.starts_with(&wanted[..]);
        let distance = if is_beginning { 1 } else { distance(&wanted, &candidate) };
        // Of a short name, one letter is already much.
        let limit = (candidate.len().min(wanted.len()) / 3).clamp(1, 3);
        (distance, limit, *known)
    });
    let close = distances.filter(|(distance, limit, _)| distance <= limit);
    close.min_by_key(|(distance, ..)| *distance).map(|(.., known)| known)
}

/// Returns the refusal of an unknown name: what it is, the suggestion, and every known name.
#[must_use]
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(MAX_NAME).collect();
    let mut text = format!("unknown {what} {shown:?}.");
    if let Some(nearest) = nearest(name, known) {
        text.push_str(" Did you mean ");
        text.push_str(nearest);
        text.push('?');
    }
    if known.is_empty() {
        text.push_str(" There are none");
    } else {
        text.push_str(" Known: ");
        text.push_str(&known.join(", "));
    }
    text
}

fn folded(name: &str) -> Vec<char> {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// The number of edits between two texts: a letter more, a letter less, another letter, or two
/// neighbours in the other order (optimal string alignment).
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before = vec![0; other.len() + 1];
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, candidate) in other.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != candidate);
            let mut best = replaced.min(last[column + 1] + 1).min(next[column] + 1);
            let swapped =
                row > 0 && column > 0 && one[row - 1] == *candidate && *letter == other[column - 1];
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] = ["workflow_id", "execution_id", "limit", "after", "before", "status"];

    #[test]
    fn misspelled_names_find_theirs() {
        for (name, expected) in [
            ("limt", Some("limit")),
            ("limti", Some("limit")),
            ("LIMIT", Some("limit")),
            ("workflowId", Some("workflow_id")),
            ("workflow", Some("workflow_id")),
            ("worklfow-id", Some("workflow_id")),
            ("executionid", Some("execution_id")),
            ("befor", Some("before")),
            ("stauts", Some("status")),
            ("colour", None),
            ("l", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(nearest(name, &KNOWN), expected, "{name}");
        }
        assert_eq!(nearest(&"limit".repeat(1000), &KNOWN), None);
        assert_eq!(nearest("limit", &[]), None);
    }

    #[test]
    fn a_refusal_says_what_is_known() {
        assert_eq!(
            unknown("parameter", "limt", &["limit", "after"]),
            "unknown parameter \"limt\". Did you mean limit? Known: limit, after"
        );
        assert_eq!(unknown("parameter", "x", &["limit"]), "unknown parameter \"x\". Known: limit");
        assert_eq!(unknown("member", "x", &[]), "unknown member \"x\". There are none");
    }
}
