//! Refusals of `serde` in the words of JavaScript.

use crate::suggest;

/// Returns the refusal of the option at `path`, from the reason that `serde` gives.
pub(super) fn refusal(path: &str, reason: &str) -> String {
    if let Some(unknown) = reason.strip_prefix("unknown field `") {
        return unknown_option(path, unknown);
    }
    match path {
        "." => worded(reason),
        path => format!("{path}: {}", worded(reason)),
    }
}

/// `rest` is ``name`, expected one of `first`, `second``.
fn unknown_option(path: &str, rest: &str) -> String {
    let (name, expected) = rest.split_once('`').unwrap_or((rest, ""));
    let known: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
    let parent = path.strip_suffix(name).unwrap_or_default();
    let parent = if parent == "." { "" } else { parent };
    match suggest::nearest(name, &known) {
        Some(nearest) => format!("unknown option {parent}{name}. Did you mean {parent}{nearest}?"),
        None => format!("unknown option {parent}{name}. Known: {}", known.join(", ")),
    }
}

fn worded(reason: &str) -> String {
    if let Some(member) = reason.strip_prefix("missing field `") {
        return format!("needs {}", member.trim_end_matches('`'));
    }
    let wrong =
        reason.strip_prefix("invalid type: ").or_else(|| reason.strip_prefix("invalid value: "));
    match wrong.and_then(|wrong| wrong.rsplit_once(", expected ")) {
        Some((given, expected)) => format!("must be {}, not {}", wanted(expected), shown(given)),
        None => reason.to_owned(),
    }
}

fn wanted(expected: &str) -> &str {
    match expected {
        "f64" => "a number",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    }
}

fn shown(given: &str) -> &str {
    match given {
        "sequence" => "a list",
        "map" => "an object",
        "unit value" => "null",
        given => {
            let value = given.strip_prefix("string ").unwrap_or(given);
            value.split_once('`').map_or(value, |(_, value)| value.trim_end_matches('`'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn refusals_are_in_words_of_javascript() {
        let known = "expected one of `dataDir`, `http`, `log`";
        for (path, reason, expected) in [
            (
                "datadir",
                "unknown field `datadir`, ",
                "unknown option datadir. Did you mean dataDir?",
            ),
            (
                "colour",
                "unknown field `colour`, ",
                "unknown option colour. Known: dataDir, http, log",
            ),
            ("a.htpp", "unknown field `htpp`, ", "unknown option a.htpp. Did you mean a.http?"),
        ] {
            assert_eq!(refusal(path, &format!("{reason}{known}")), expected);
        }
        for (reason, expected) in [
            ("invalid type: sequence, expected a string", "a: must be a string, not a list"),
            ("invalid type: map, expected f64", "a: must be a number, not an object"),
            ("invalid type: string \"5\", expected f64", "a: must be a number, not \"5\""),
            ("invalid type: null, expected a boolean", "a: must be true or false, not null"),
            (
                "invalid type: integer `5`, expected struct HttpOptions",
                "a: must be an object, not 5",
            ),
            (
                "invalid value: integer `70000`, expected u16",
                "a: must be a whole number from 0 to 65535, not 70000",
            ),
            ("missing field `roleArn`", "a: needs roleArn"),
            ("something else", "a: something else"),
        ] {
            assert_eq!(refusal("a", reason), expected);
        }
        let reason = "invalid type: sequence, expected struct Options";
        assert_eq!(refusal(".", reason), "must be an object, not a list");
    }
}
