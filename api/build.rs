//! Takes the files of GraphiQL and of the web page into the binary, where they are there. They are not part of the repository:
//! `make graphiql` puts those of GraphiQL under `target/graphiql`, with their licences, and `make web` those of the page under
//! `web/dist`. `APEX_GRAPHIQL_DIR` and `APEX_WEB_DIR` name other folders.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The files, by name and media type.
const FILES: [(&str, &str); 6] = [
    ("graphiql.min.js", "text/javascript; charset=utf-8"),
    ("graphiql.min.css", "text/css; charset=utf-8"),
    ("react.production.min.js", "text/javascript; charset=utf-8"),
    ("react-dom.production.min.js", "text/javascript; charset=utf-8"),
    ("graphiql.LICENSE", "text/plain; charset=utf-8"),
    ("react.LICENSE", "text/plain; charset=utf-8"),
];

/// The media types of files of the page, by the ending of their names. Other files are not taken.
const MEDIA_TYPES: [(&str, &str); 7] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("woff2", "font/woff2"),
    ("txt", "text/plain; charset=utf-8"),
];

/// The most bytes of all files of the page together, compressed and not: a folder with more is a mistake.
const MAX_WEB_BYTES: usize = 16 * 1024 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("graphiql_assets.rs"), graphiql(&folder("APEX_GRAPHIQL_DIR", "../target/graphiql")?)?)?;
    fs::write(out.join("web_assets.rs"), web(&folder("APEX_WEB_DIR", "../web/dist")?)?)?;
    Ok(())
}

/// The folder that a variable names, or the one beside this package.
fn folder(variable: &str, default: &str) -> Result<PathBuf, Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={variable}");
    Ok(match env::var_os(variable) {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&env::var("CARGO_MANIFEST_DIR")?).join(default),
    })
}

/// The table of the files of GraphiQL.
fn graphiql(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut table = String::from("pub(crate) const ASSETS: &[(&str, &str, &[u8])] = &[\n");
    for (name, media_type) in FILES {
        let file = folder.join(name);
        println!("cargo::rerun-if-changed={}", file.display());
        if file.is_file() {
            let file = fs::canonicalize(&file)?;
            writeln!(table, "    ({name:?}, {media_type:?}, include_bytes!({file:?})),")?;
        }
    }
    table.push_str("];\n");
    Ok(table)
}

/// The table of the files of the page: its name, its media type, a tag of its content, and the content as it is and compressed.
fn web(folder: &Path) -> Result<String, Box<dyn Error>> {
    // The folder is in the repository, so that a build without the page does not look for it again each time.
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    names_below(folder, "", &mut names)?;
    names.sort();
    let mut table = String::from("pub(crate) const FILES: &[File] = &[\n");
    let mut bytes = 0;
    for name in &names {
        let ending = name.rsplit('.').next().unwrap_or_default();
        let Some((_, media_type)) = MEDIA_TYPES.iter().find(|(known, _)| *known == ending) else { continue };
        let file = fs::canonicalize(folder.join(name))?;
        let content = fs::read(&file)?;
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let mut variant = |ending: &str| -> Result<String, Box<dyn Error>> {
            let compressed = folder.join(format!("{name}.{ending}"));
            if !compressed.is_file() {
                return Ok("None".to_owned());
            }
            bytes += usize::try_from(fs::metadata(&compressed)?.len())?;
            Ok(format!("Some(include_bytes!({:?}))", fs::canonicalize(compressed)?))
        };
        let (brotli, gzip) = (variant("br")?, variant("gz")?);
        bytes += content.len();
        let tag = format!("W/\"{:016x}\"", hasher.finish());
        writeln!(
            table,
            "    File {{ name: {name:?}, media_type: {media_type:?}, tag: {tag:?}, content: include_bytes!({file:?}), \
             brotli: {brotli}, gzip: {gzip} }},"
        )?;
    }
    if bytes > MAX_WEB_BYTES {
        return Err(format!("{} has {bytes} bytes, the limit is {MAX_WEB_BYTES}", folder.display()).into());
    }
    table.push_str("];\n");
    Ok(table)
}

/// Adds the paths of the files below a folder, with slashes; none if there is no folder.
fn names_below(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            names_below(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}
