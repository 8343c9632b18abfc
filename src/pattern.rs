//! Patterns of ids and names: `*` stands for any characters.

/// Returns `true` if `text` matches `pattern`.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let Some((middle, last)) = rest.rsplit_once('*') else { return text.ends_with(rest) };
    for part in middle.split('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

/// Returns the specificity of a pattern: the number of characters that it fixes.
#[must_use]
pub fn weight(pattern: &str) -> usize {
    pattern.chars().filter(|character| *character != '*').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_characters() {
        for (pattern, text, expected) in [
            ("p_a", "p_a", true),
            ("p_a", "p_ab", false),
            ("*", "", true),
            ("p_*", "p_abc", true),
            ("p_*", "q_abc", false),
            ("*_end", "the_end", true),
            ("a*b", "a", false),
            ("a*b", "ab", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a**c", "abc", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
