//! Computes a hash of the code that folds events. Snapshots with another hash are ignored: the state that other code
//! folded may have another shape or meaning. A version number instead of the hash could be forgotten.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src");
    let mut paths = Vec::new();
    sources(Path::new("src"), &mut paths)?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        files.push((path.to_string_lossy().into_owned(), fs::read_to_string(&path)?));
    }
    println!("cargo::rustc-env=APEX_DOMAIN_CODE={}", fingerprint(&files));
    Ok(())
}

/// The fingerprint of source files, given by name and text in order. Comments and tests do not count.
pub(crate) fn fingerprint(files: &[(String, String)]) -> String {
    let mut hash = FNV_OFFSET;
    for (name, text) in files {
        hash = fnv(hash, name);
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            hash = fnv(hash, line);
        }
    }
    format!("{hash:016x}")
}

/// The files of code that is not only for tests.
pub(crate) fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs" || name == "testing.rs")
}

/// FNV-1a with 64 bits, which is the same on every machine and with every compiler.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, line: &str) -> u64 {
    let bytes = line.bytes().chain([b'\n']);
    bytes.fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
