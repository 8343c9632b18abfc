//! Holds the picture and the tables of `docs/design/architecture.md`: the stages of a delivery, which
//! module imports which, and who may import napi.

#![expect(clippy::unwrap_used, reason = "a test may stop where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the ground up, as the page lists them, and what each may use. `None`: everything.
fn may_use() -> Vec<(String, Option<Vec<String>>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/design/architecture.md");
    let page = fs::read_to_string(page).unwrap();
    let list = page.split("\n## Modules\n").nth(1).unwrap().split("\n- **").next().unwrap();
    let names = |text: &str| -> Vec<String> {
        text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let module = |text: &str| {
        let uses = text.split(" Uses ").nth(1).unwrap_or_default();
        let uses = uses.split(" Never ").next().unwrap_or_default();
        (names(text).remove(0), (!uses.starts_with("everything")).then(|| names(uses)))
    };
    let items = list.split("\n- ").skip(1);
    items.map(|text| module(&text.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

/// Modules whose documentation is in plain English. A module is added when it is rewritten.
const PLAIN: [&str; 24] = [
    "config",
    "delivery",
    "destinations",
    "egress",
    "engine",
    "error",
    "execution",
    "frames",
    "fuzzing",
    "id",
    "jobs",
    "journal",
    "observability",
    "pattern",
    "percent",
    "postgres",
    "private",
    "recording",
    "redact",
    "server",
    "streams",
    "suggest",
    "time",
    "lib",
];

/// Words that do not begin a doc comment: a function's begins with a verb, others are noun phrases.
const NOT_OPENINGS: [&str; 10] =
    ["What", "Whether", "How", "Where", "Who", "Whom", "Whose", "Why", "When", "Which"];

/// Crates that speak a protocol: the engine and the journal name none of them.
const PROTOCOLS: [&str; 11] = [
    "reqwest",
    "hyper",
    "http::",
    "rustls",
    "url::",
    "lettre",
    "object_store",
    "flate2",
    "zstd",
    "axum",
    "tokio_postgres",
];

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}

/// The top module that a source file belongs to.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file: no comments, and nothing from its tests on.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs")
        || path
            .components()
            .any(|part| ["tests", "contract"].iter().any(|name| part.as_os_str() == *name))
}

#[test]
fn modules_use_what_the_page_says() {
    let table = may_use();
    let mut used_by: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        assert!(table.iter().any(|(name, _)| *name == module), "{module} is not in the list");
        let used = used_by.entry(module.clone()).or_default();
        let code = code(&text);
        let names = code.split("crate::").skip(1).map(|path| {
            path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()
        });
        used.extend(names.filter(|name| *name != module));
    }
    for (module, allowed) in table {
        let used: Vec<_> = used_by.remove(&module).unwrap_or_default().into_iter().collect();
        if let Some(allowed) = allowed {
            assert_eq!(used, allowed, "the imports of {module}, and what the page says");
        }
    }
}

/// A module uses only modules above it in the list, so that there is no circle among them. The
/// functions for a fuzzer are used by nothing.
#[test]
fn the_modules_have_no_circle() {
    let table = may_use();
    assert!(table.len() > 20, "{table:?}");
    for (row, (module, allowed)) in table.iter().enumerate().filter(|(_, row)| row.0 != "fuzzing") {
        for used in allowed.iter().flatten() {
            let place = table.iter().position(|(name, _)| name == used);
            assert!(
                place.is_some_and(|place| place < row),
                "{module} uses {used}, which is not above"
            );
        }
    }
}

/// The stages of a delivery are where the page says, under the names that it has for them.
#[test]
fn the_stages_of_a_delivery_are_where_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/design/architecture.md")).unwrap();
    let picture = page.split("```").nth(1).unwrap();
    let table = page.split("| stage ").nth(1).unwrap();
    let rows: Vec<_> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 8, "{rows:?}");
    for row in rows {
        let names: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        let (stage, file) = (names[0], *names.last().unwrap());
        let source = fs::read_to_string(root.join("src").join(file)).unwrap();
        let kinds = ["struct", "enum"].map(|kind| format!("{kind} {stage}"));
        let declared = code(&source).lines().any(|line| {
            let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
            kinds.iter().any(|kind| line.trim_start_matches("pub ").starts_with(kind.as_str()))
        });
        assert!(declared, "{file} has no {stage}");
        assert!(picture.contains(stage), "the picture has no {stage}");
    }
}

#[test]
fn only_the_binding_imports_napi() {
    for (path, text) in sources() {
        let code = code(&text).replace("openapi", "");
        let imports = code.contains("napi::") || code.contains("napi_derive");
        assert!(!imports || module_of(&path) == "binding", "{} imports napi", path.display());
    }
}

#[test]
fn the_engine_and_the_journal_name_no_protocol() {
    for (path, text) in sources() {
        if !["engine", "journal", "recording", "streams"].contains(&module_of(&path).as_str()) {
            continue;
        }
        // The journal in PostgreSQL speaks to its own database, as the other one does to its file.
        if path.components().any(|part| part.as_os_str() == "postgres") {
            continue;
        }
        let code = code(&text);
        for protocol in PROTOCOLS {
            let path_of = format!("{}::", protocol.trim_end_matches("::"));
            // A path that begins with the crate, not one of a module of the same name.
            let begins = |at: usize| {
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                    || code[..at].ends_with(" ::")
            };
            let named = code.match_indices(&path_of).any(|(at, _)| begins(at));
            let imported = code.contains(&format!("use {};", protocol.trim_end_matches("::")));
            assert!(!named && !imported, "{} names {protocol}", path.display());
        }
    }
}

#[test]
fn files_have_at_most_500_lines() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 500 || is_test(&path), "{} has {lines} lines", path.display());
    }
}

/// The lines of code of the function that begins at `first`, up to its closing brace, or of a declaration
/// up to its semicolon.
fn length(lines: &[&str], first: usize) -> usize {
    let indent = lines[first].len() - lines[first].trim_start().len();
    let [end, declared] = ["}", ")"].map(|end| format!("{}{end}", " ".repeat(indent)));
    let is_end = |line: &str| line == end || (line.starts_with(&declared) && line.ends_with(';'));
    let body = lines[first..].iter().take_while(|line| !is_end(line));
    body.filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")).count()
}

#[test]
fn functions_stay_below_60_lines() {
    let mut checked = 0;
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_test(path)) {
        let code = code(&text);
        let lines: Vec<_> = code.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let words = line.trim_start().split("fn ").next().unwrap_or_default();
            let is_function = line.contains("fn ")
                && words.split_whitespace().all(|word| {
                    word.starts_with("pub")
                        || ["async", "const", "unsafe", "in"].contains(&word)
                        || word.ends_with(')')
                });
            if is_function && !line.trim_end().ends_with(';') && !line.trim_end().ends_with('}') {
                let length = length(&lines, at);
                assert!(length <= 62, "{}: {length} lines: {line}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 1000, "the test looked at {checked} functions: it reads the sources wrongly");
}

#[test]
fn documentation_is_in_plain_english() {
    let (mut blocks, mut wrong) = (0, Vec::new());
    for (path, text) in sources() {
        if !PLAIN.contains(&module_of(&path).as_str()) || is_test(&path) {
            continue;
        }
        let mut inside = false;
        for line in text.lines().take_while(|line| *line != "#[cfg(test)]") {
            let line = line.trim_start();
            let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
            if let Some(first) = doc.filter(|_| !inside) {
                blocks += 1;
                let first = first.split_whitespace().next().unwrap_or_default();
                if NOT_OPENINGS.contains(&first) {
                    wrong.push(format!("{}: {line}", path.display()));
                }
            }
            let comment = line.starts_with("//") && line.to_lowercase().contains("the answer");
            assert!(!comment, "{}: {line}", path.display());
            inside = doc.is_some();
        }
    }
    assert!(blocks > 500, "the test looked at {blocks} comments: it reads the sources wrongly");
    assert!(wrong.len() * 50 <= blocks, "{wrong:#?}");
}

#[test]
fn traits_make_small_promises() {
    let mut checked = 0;
    for (_, text) in sources() {
        let code = code(&text);
        for body in
            code.split("\npub").filter_map(|item| item.split_once("trait ")).map(|(_, body)| body)
        {
            let methods = body.split("\n}").next().unwrap().matches("    fn ").count();
            assert!(methods <= 10, "{} has {methods} methods", body.lines().next().unwrap());
            checked += 1;
        }
    }
    assert!(checked > 10, "the test looked at {checked} traits: it reads the sources wrongly");
}

#[test]
fn the_page_is_read_in_a_few_minutes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/design/architecture.md");
    let words = fs::read_to_string(page).unwrap().split_whitespace().count();
    assert!(words <= 1500, "architecture.md has {words} words");
}

/// The rooms of an engine have their own state: none of them is the engine again.
#[test]
fn only_one_file_implements_the_engine() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_engine = |text: &str| code(text).lines().any(|line| line == "impl Engine {");
    let files: Vec<_> = sources().into_iter().filter(|(_, text)| is_engine(text)).collect();
    // The binding has a class of this name.
    let files: Vec<_> = files.iter().filter(|(path, _)| module_of(path) == "engine").collect();
    assert!(files.iter().all(|(path, _)| *path == source.join("engine/mod.rs")), "{files:#?}");
    let engine = &files.first().unwrap().1;
    let fields = engine.split("pub struct Engine {").nth(1).unwrap().split("\n}").next().unwrap();
    assert!(fields.matches(": ").count() <= 8, "Engine has too many fields:{fields}");
}
