//! Files that settings name.

use anyhow::Context as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The largest file of settings or of a key that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The text of a file of limited size.
pub(super) fn text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = File::open(file).and_then(|opened| opened.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
    read.with_context(|| format!("{} cannot be read", file.display()))?;
    let is_within = u64::try_from(text.len()).is_ok_and(|bytes| bytes <= MAX_FILE_BYTES);
    anyhow::ensure!(is_within, "{} has more than {MAX_FILE_BYTES} bytes, which is the limit", file.display());
    Ok(text)
}
