//! Opens files and standard input, decompresses gzip, and counts bytes for progress.

use crate::error::GzipError;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An open input, and its progress.
pub struct Input {
    /// The content, decompressed if it is gzip.
    pub reader: Box<dyn Read + Send>,
    /// The size of the file on disk, in bytes. `None` for pipes and terminals.
    pub total_bytes: Option<u64>,
    /// The number of bytes of the content, if that is known before it is read.
    pub content_bytes: Option<u64>,
    /// The number of those bytes of the file that are read so far.
    pub read_bytes: Arc<AtomicU64>,
}

/// Opens a file, or standard input for `-`. Gzip is recognised by its first bytes, whatever the name of the file.
///
/// # Errors
/// An I/O error if the file cannot be opened, or its first bytes cannot be read.
pub async fn open_path(path: PathBuf) -> io::Result<Input> {
    // Reading from a terminal or an idle pipe blocks for as long as nothing is written; it must not block a
    // cancellation.
    tokio::task::spawn_blocking(move || open(&path)).await?
}

fn open(path: &Path) -> io::Result<Input> {
    let (raw, total_bytes): (Box<dyn Read + Send>, _) = if path == Path::new("-") {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        (Box::new(file), metadata.is_file().then_some(metadata.len()))
    };
    let read_bytes = Arc::new(AtomicU64::new(0));
    let (reader, is_gzip) = decompress(CountingReader { inner: raw, read_bytes: Arc::clone(&read_bytes) })?;
    // Files of the kernel have a content, and no size.
    let content_bytes = total_bytes.filter(|bytes| *bytes > 0 && !is_gzip);
    Ok(Input { reader, total_bytes, content_bytes, read_bytes })
}

/// The first bytes of every gzip member (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Decompresses an input if it starts as gzip does, and says whether it does.
fn decompress(mut raw: impl Read + Send + 'static) -> io::Result<(Box<dyn Read + Send>, bool)> {
    let mut start = Vec::with_capacity(GZIP_MAGIC.len());
    raw.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    let is_gzip = start == GZIP_MAGIC;
    let whole = BufReader::new(io::Cursor::new(start).chain(raw));
    let reader: Box<dyn Read + Send> =
        if is_gzip { Box::new(GzipReader(MultiGzDecoder::new(whole))) } else { Box::new(whole) };
    Ok((reader, is_gzip))
}

/// Counts the bytes read.
struct CountingReader<R> {
    inner: R,
    read_bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read_bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Marks errors of decompression as [`GzipError`].
struct GzipReader<R>(R);

impl<R: Read> Read for GzipReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, GzipError(error)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{InputError, RecordError};
    use crate::format::Format;
    use crate::formats::lines::{LineRecords, Lines, ParsedLine};
    use crate::formats::read_records;
    use crate::formats::testing::{defaults, into_records};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn gzip_is_recognised_by_its_first_bytes_and_progress_counts_compressed_bytes() {
        let text = "{}\n".repeat(10_000);
        // Two members in a row are one stream (RFC 1952, 2.2).
        let packed = [gzip(&text), gzip(&text)].concat();
        for (content, unpacked) in [(packed, text.repeat(2)), (text.clone().into_bytes(), text)] {
            let file = file(&content);
            let mut input = open(file.path()).unwrap();
            let mut read = String::new();
            input.reader.read_to_string(&mut read).unwrap();
            assert_eq!(read, unpacked);
            assert_eq!(input.total_bytes, Some(content.len() as u64));
            assert_eq!(input.content_bytes, (content.len() == unpacked.len()).then_some(unpacked.len() as u64));
            assert_eq!(input.read_bytes.load(Ordering::Relaxed), content.len() as u64);
        }
    }

    #[test]
    fn short_and_empty_files_are_read_unchanged() {
        for content in ["", "x", "\n"] {
            let file = file(content.as_bytes());
            let mut read = String::new();
            open(file.path()).unwrap().reader.read_to_string(&mut read).unwrap();
            assert_eq!(read, content);
        }
        assert_eq!(open(Path::new("/no/such/file")).err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
    }

    #[test]
    fn a_damaged_or_truncated_gzip_stream_ends_the_input_with_a_gzip_error() {
        let random: String = (0..5_000_u64).map(|n| format!("{}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let packed = gzip(&random);
        let cut = packed[..packed.len() / 2].to_vec();
        let mut damaged = packed.clone();
        damaged[packed.len() / 2..][..64].fill(0xff);
        for content in [cut, damaged, vec![0x1f, 0x8b]] {
            let file = file(&content);
            let input = open(file.path()).unwrap();
            let mut records = LineRecords::boxed(Lines::new(input.reader), |_, _| Ok(ParsedLine::NotACall));
            let error = records.next().unwrap().unwrap_err();
            assert!(matches!(error, RecordError::Input(InputError::Gzip(_))), "{error:?}");
            assert!(records.next().is_none());
        }
    }

    /// A file gives its first two bytes alone.
    #[test]
    fn the_beginning_of_a_file_tells_how_it_is_read() {
        let response = |id: u8| {
            format!(
                "{{\"id\":\"resp_{id}\",\"object\":\"response\",\"created_at\":1709819153,\"model\":\"m\",\
                 \"usage\":{{\"input_tokens\":1,\"output_tokens\":2}}}}"
            )
        };
        let long = format!(
            "{}\n\n{}\n",
            response(1).replace("\"m\"", &format!("\"m\",\"x\":\"{}\"", "x".repeat(100_000))),
            response(2)
        );
        for (format, content) in [
            (Format::Csv, "time;input\n2025-05-01T10:00:00Z;1\n2025-05-01T10:00:00Z;1\n".to_owned()),
            (Format::Csv, "time\tinput\n2025-05-01T10:00:00Z\t1\n2025-05-01T10:00:00Z\t1\n".to_owned()),
            (
                Format::Jsonl,
                "\u{feff}\n[{\"time\":\"2025-05-01T10:00:00Z\",\"input\":1},\n{\"time\":1746093601,\"input\":1}]"
                    .to_owned(),
            ),
            (Format::Responses, format!("\u{feff}{}\n{}", response(1), response(2))),
            (Format::Responses, long),
        ] {
            for content in [content.clone().into_bytes(), gzip(&content)] {
                let file = file(&content);
                let input = open(file.path()).unwrap();
                let records: Vec<_> =
                    read_records(format, defaults(), input.reader).unwrap().flat_map(into_records).collect();
                assert_eq!(records.into_iter().map(Result::unwrap).count(), 2, "{format:?}");
            }
        }
    }
}
