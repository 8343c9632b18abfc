//! The search language: words with a colon restrict a field, everything else is free text.

use std::sync::Arc;
use std::time::Duration;

use super::response::ApiError;
use crate::execution::{Search, SearchField, SearchTerm, Status};
use crate::suggest;
use crate::time::Timestamp;

/// The words that come before a colon.
const WORDS: [&str; 9] =
    ["status", "host", "workflow", "code", "destination", "execution", "trigger", "since", "until"];
/// Characters that a search may have.
const MAX_CHARACTERS: usize = 1000;
/// Terms that a search may have.
const MAX_TERMS: usize = 20;
/// The statuses of executions.
const OF_EXECUTIONS: [&str; 4] = ["running", "completed", "failed", "discarded"];

/// Reads the parameter `search`.
pub(super) fn read(text: &str) -> Result<Arc<Search>, ApiError> {
    parse(text, Timestamp::now()).map(Arc::new).map_err(ApiError::invalid)
}

/// Reads a search. The error says what is wrong at which character, from 1.
fn parse(text: &str, now: Timestamp) -> Result<Search, String> {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() > MAX_CHARACTERS {
        return Err(format!("search: must have {MAX_CHARACTERS} characters or less"));
    }
    let mut parser = Parser { characters: &characters, at: 0 };
    let (mut search, mut count) = (Search::default(), 0);
    while let Some(begin) = parser.next_begin() {
        count += 1;
        if count > MAX_TERMS {
            let at = begin + 1;
            return Err(format!("search: more than {MAX_TERMS} terms at character {at}"));
        }
        let word = parser.word();
        let value_at = parser.at;
        let value = parser.value()?;
        match word {
            Some(word) => restrict(&mut search, &word, &value, (begin, value_at), now)?,
            None => push(&mut search, SearchField::Any, &value),
        }
    }
    Ok(search)
}

fn push(search: &mut Search, field: SearchField, value: &str) {
    if !value.is_empty() {
        search.terms.push(SearchTerm { field, text: value.to_lowercase() });
    }
}

/// Adds a word and its value; `places` are the characters at which they begin, from 0.
fn restrict(
    search: &mut Search,
    word: &str,
    value: &str,
    places: (usize, usize),
    now: Timestamp,
) -> Result<(), String> {
    let (word_at, value_at) = (places.0 + 1, places.1 + 1);
    if !WORDS.contains(&word) {
        let unknown = suggest::unknown("word", word, &WORDS);
        return Err(format!(
            "search: at character {word_at}: {unknown}. A text with a colon needs quotes: \"{word}:…\""
        ));
    }
    if value.is_empty() {
        return Err(format!("search: at character {value_at}: {word}: needs a value"));
    }
    let time = || {
        point_in_time(value, now).ok_or_else(|| {
            format!(
                "search: at character {value_at}: {value:?} is neither a duration (30m, 2h, 7d) \
                 nor a time (2026-11-26, 2026-11-26T10:00:00Z)"
            )
        })
    };
    let field = match word {
        "status" => {
            let known: Vec<_> =
                Status::ALL.iter().map(|status| status.as_str()).chain(OF_EXECUTIONS).collect();
            if !known.iter().any(|known| known.contains(&value.to_lowercase())) {
                let unknown = suggest::unknown("status", value, &known);
                return Err(format!("search: at character {value_at}: {unknown}"));
            }
            SearchField::Status
        }
        "host" => SearchField::Host,
        "workflow" => SearchField::Workflow,
        "code" => SearchField::Code,
        "destination" => SearchField::Destination,
        "execution" => SearchField::Execution,
        "trigger" => SearchField::Trigger,
        "since" => {
            search.since = search.since.max(Some(time()?));
            return Ok(());
        }
        _ => {
            let time = time()?;
            search.until = Some(search.until.map_or(time, |until| until.min(time)));
            return Ok(());
        }
    };
    push(search, field, value);
    Ok(())
}

/// Reads a duration before `now`, or a time.
pub(super) fn point_in_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    ago(text)
        .map(|ago| {
            let millis = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
            Timestamp::from_millis(now.as_millis().saturating_sub(millis))
        })
        .or_else(|| Timestamp::parse(text))
}

fn ago(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
    Some(Duration::from_secs(u64::from(count) * seconds))
}

struct Parser<'a> {
    characters: &'a [char],
    at: usize,
}

impl Parser<'_> {
    /// Skips spaces. Returns the beginning of the next term.
    fn next_begin(&mut self) -> Option<usize> {
        while self.characters.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        (self.at < self.characters.len()).then_some(self.at)
    }

    /// Takes a word and its colon. The scheme of a URL is no word.
    fn word(&mut self) -> Option<String> {
        let rest = &self.characters[self.at..];
        let length =
            rest.iter().take_while(|c| c.is_alphabetic() || matches!(c, '_' | '-')).count();
        let is_word = length > 0
            && rest.get(length) == Some(&':')
            && rest.get(length + 1..length + 3) != Some(&['/', '/']);
        if !is_word {
            return None;
        }
        self.at += length + 1;
        Some(rest[..length].iter().collect::<String>().to_lowercase())
    }

    /// Takes a text up to the next space, or in quotes.
    fn value(&mut self) -> Result<String, String> {
        let begin = self.at;
        if self.characters.get(begin) != Some(&'"') {
            while self.characters.get(self.at).is_some_and(|c| !c.is_whitespace()) {
                self.at += 1;
            }
            return Ok(self.characters[begin..self.at].iter().collect());
        }
        let rest = &self.characters[begin + 1..];
        let Some(length) = rest.iter().position(|c| *c == '"') else {
            return Err(format!("search: at character {}: the quote does not end", begin + 1));
        };
        self.at = begin + length + 2;
        Ok(rest[..length].iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn terms(text: &str) -> Vec<(SearchField, String)> {
        let search = parse(text, NOW).unwrap();
        search.terms.into_iter().map(|term| (term.field, term.text)).collect()
    }

    #[test]
    fn words_restrict_and_texts_are_free() {
        let any = |text: &str| (SearchField::Any, text.to_owned());
        assert_eq!(terms("  "), []);
        assert_eq!(terms("Foo bar"), [any("foo"), any("bar")]);
        assert_eq!(terms("\"Two Words\" x"), [any("two words"), any("x")]);
        assert_eq!(terms("https://a.b:80/c"), [any("https://a.b:80/c")]);
        assert_eq!(terms("127.0.0.1:80"), [any("127.0.0.1:80")]);
        assert_eq!(
            terms("STATUS:Fail host:\"A b\"workflow:p"),
            [
                (SearchField::Status, "fail".to_owned()),
                (SearchField::Host, "a b".to_owned()),
                (SearchField::Workflow, "p".to_owned()),
            ]
        );
    }

    #[test]
    fn times_are_durations_or_dates() {
        for (text, since) in [
            ("since:2h", 1_800_000_000_000 - 7_200_000),
            ("since:0s", 1_800_000_000_000),
            ("since:4294967295w", 0),
            ("since:1h since:30m", 1_800_000_000_000 - 1_800_000),
            ("since:2026-11-26", 1_795_651_200_000),
            ("since:2026-11-26T10:00:00Z", 1_795_687_200_000),
            ("since:2026-11-26T11:00:00+01:00", 1_795_687_200_000),
        ] {
            let search = parse(text, NOW).unwrap();
            assert_eq!(search.since, Some(Timestamp::from_millis(since)), "{text}");
        }
        let until = parse("until:1h until:30m", NOW).unwrap().until;
        assert_eq!(until, Some(Timestamp::from_millis(1_800_000_000_000 - 3_600_000)));
    }

    #[test]
    fn errors_name_the_place() {
        let long = "x".repeat(MAX_CHARACTERS + 1);
        let many = "x ".repeat(MAX_TERMS + 1);
        for (text, expected) in [
            (
                "é hots:a",
                "at character 3: unknown word \"hots\". Did you mean host? Known: status,",
            ),
            ("localhost:80", "at character 1: unknown word \"localhost\""),
            ("a status:", "at character 10: status: needs a value"),
            ("status:done", "at character 8: unknown status \"done\""),
            ("since:soon", "at character 7: \"soon\" is neither"),
            ("since:99999999999h", "at character 7: \"99999999999h\" is neither"),
            ("a \"b", "at character 3: the quote does not end"),
            (&long, "must have 1000 characters or less"),
            (&many, "more than 20 terms at character 41"),
        ] {
            let error = parse(text, NOW).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
