//! Holds the table of `docs/architecture.md`: which module may import which, and who may import
//! napi.

#![expect(clippy::unwrap_used, reason = "a test may stop where it is")]

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use of the others. `binding` may use everything.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("config", &["destinations", "egress", "journal", "observability", "private", "server"]),
    ("destinations", &["egress", "error", "observability", "private", "streams"]),
    ("egress", &["destinations", "error"]),
    (
        "engine",
        &[
            "config",
            "destinations",
            "egress",
            "error",
            "journal",
            "observability",
            "recording",
            "streams",
        ],
    ),
    ("error", &[]),
    ("journal", &["destinations", "error", "observability", "private", "recording", "streams"]),
    ("observability", &["destinations", "error"]),
    ("private", &[]),
    ("recording", &["destinations", "error", "observability"]),
    ("server", &["engine", "error", "observability", "streams", "suggest"]),
    ("streams", &["error", "observability"]),
    ("suggest", &[]),
];

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
    path.components().any(|part| part.as_os_str() == "tests")
        || ["tests.rs", "contract.rs", "model.rs"].iter().any(|name| path.ends_with(name))
}

#[test]
fn modules_use_what_the_table_allows() {
    let mut checked = 0;
    for (path, text) in sources() {
        let module = module_of(&path);
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            assert!(["binding", "lib"].contains(&module.as_str()), "{module} is not in the table");
            continue;
        };
        for used in code(&text).split("crate::").skip(1) {
            let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let fine = used == module || allowed.contains(&used);
            assert!(fine, "{} uses crate::{used}, which the table forbids", path.display());
            checked += 1;
        }
    }
    assert!(checked > 100, "the test looked at {checked} imports: it reads the sources wrongly");
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
        for line in code(&text).lines().filter(|line| line.starts_with("use ")) {
            let named = PROTOCOLS.iter().find(|protocol| line[4..].starts_with(**protocol));
            assert!(named.is_none(), "{} imports {named:?}", path.display());
        }
    }
}

#[test]
fn files_and_functions_keep_their_size() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 600 || is_test(&path), "{} has {lines} lines", path.display());
    }
}
