//! Lists the files that `cargo xtask build-console` left in `dist/console`, if it ran.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // The folder above: it is always there, so cargo does not take it for changed.
    println!("cargo::rerun-if-changed=dist");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let built = root.join("dist/console");
    let mut files = Vec::new();
    if built.join("index.html").is_file() {
        list(&built, &mut files)?;
    }
    files.sort();
    let mut table = String::from("static FILES: &[Asset] = &[\n");
    for file in &files {
        let name = file.strip_prefix(&built).unwrap_or(file).to_string_lossy();
        let packed = PathBuf::from(format!("{}.gz", file.display()));
        let gzip = match packed.is_file() {
            true => format!("Some(include_bytes!({packed:?}))"),
            false => "None".to_owned(),
        };
        let _ = writeln!(
            table,
            "    Asset {{ path: \"/{name}\", bytes: include_bytes!({file:?}), gzip: {gzip}, \
             content_type: \"{}\", etag: \"\\\"{:016x}\\\"\", immutable: {} }},",
            content_type(file),
            digest(&fs::read(file)?),
            name.starts_with("assets/"),
        );
    }
    table += "];\n";
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("files.rs"), table)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if path.extension().is_none_or(|end| end != "gz") {
            files.push(path);
        }
    }
    Ok(())
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|end| end.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// FNV-1a: tells versions of a file apart, which is all that an entity tag is for.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
