//! Takes the files of GraphiQL into the binary, with their licences, where they are there. They are not part of the repository: `make
//! graphiql` puts them under `target/graphiql`, and `APEX_GRAPHIQL_DIR` names another folder.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
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

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=APEX_GRAPHIQL_DIR");
    let folder = match env::var_os("APEX_GRAPHIQL_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../target/graphiql"),
    };
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
    fs::write(Path::new(&env::var("OUT_DIR")?).join("graphiql_assets.rs"), table)?;
    Ok(())
}
