//! Embeds the Inspector that `npm run build` made and the description of the server's routes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // `napi build` asks for the type definitions again by them.
    println!("cargo:rerun-if-env-changed=NAPI_TYPE_DEF_TMP_FOLDER");
    println!("cargo:rerun-if-env-changed=NAPI_FORCE_BUILD_DOLLAR_SEND");
    println!("cargo:rerun-if-changed=build.rs");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let built = root.join("inspector/dist");
    // Without a build, its folder is watched through its parent: a missing path is always changed.
    let watched = if built.exists() { "inspector/dist" } else { "inspector" };
    println!("cargo:rerun-if-changed={watched}");
    let mut table = String::from("static FILES: &[File] = &[\n");
    for (path, file) in files(&built)? {
        let kind = kind_of(&path);
        let file = file.display().to_string();
        let _ = writeln!(
            table,
            "    File {{ path: {path:?}, kind: {kind:?}, gzip: include_bytes!({file:?}) }},"
        );
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("inspector.rs"), table)?;
    let document = root.join("docs/reference/openapi.json");
    println!("cargo:rerun-if-changed={}", document.display());
    // No text in it has a line break.
    let document = fs::read_to_string(document)?.lines().map(str::trim_start).collect::<String>();
    fs::write(out.join("openapi.json"), document)
}

/// Returns the compressed files of the Inspector with their paths on the server, in order.
fn files(built: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for (folder, prefix) in [(built.to_owned(), "/"), (built.join("assets"), "/assets/")] {
        if !folder.exists() {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let file = entry?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(name) = name.strip_suffix(".gz") {
                found.push((format!("{prefix}{name}"), file));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn kind_of(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
