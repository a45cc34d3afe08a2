//! Bodies that are read while they are sent, and can be sent again if a server takes nothing of them.

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How much is read at once, in bytes.
const PART_BYTES: usize = 64 * 1024;
/// How many parts wait to be sent.
const MAX_WAITING_PARTS: usize = 4;
/// How much of what was read is kept, in bytes, to send it again: more than a server reads of a body that it refuses.
const MAX_KEPT_BYTES: usize = 16 * 1024 * 1024;
/// The trailer in which this program says that it could not read the rest of a file.
const UPLOAD_TRAILER: HeaderName = HeaderName::from_static("x-apex-upload");

/// The content of a file.
pub struct Content {
    /// The content.
    pub reader: Box<dyn Read + Send>,
    /// The number of its bytes, if it is known. If the file has more by the time that it is read, they are left out.
    pub bytes: Option<u64>,
}

/// Why a file could not be read, once that is known.
type ReadFailure = Arc<Mutex<Option<io::Error>>>;

/// A body that is being sent.
pub(super) struct Sending {
    failure: ReadFailure,
    /// Reads, and returns the content from its beginning, if that is kept.
    reading: JoinHandle<Option<Content>>,
    forwarding: JoinHandle<()>,
}

impl Sending {
    /// A body whose content is read, on a thread, as fast as it is sent.
    pub(super) fn begin(content: Content) -> (reqwest::Body, Self) {
        let (parts, waiting) = mpsc::channel(MAX_WAITING_PARTS);
        let (sender, body) = Channel::<Bytes>::new(1);
        let failure = ReadFailure::default();
        let has_length = content.bytes.is_some();
        let reading = tokio::task::spawn_blocking(move || read(content, &parts));
        let forwarding = tokio::spawn(forward(waiting, sender, has_length, failure.clone()));
        (reqwest::Body::wrap(body), Self { failure, reading, forwarding })
    }

    /// Why the content could not be read to its end.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Stops reading, and returns the content from its beginning; none if too much of it was read.
    pub(super) async fn stop(self) -> Option<Content> {
        self.forwarding.abort();
        // What is waited for is the end of the part that is being read.
        self.reading.await.ok().flatten()
    }
}

fn read(content: Content, parts: &mpsc::Sender<io::Result<Bytes>>) -> Option<Content> {
    let Content { mut reader, bytes } = content;
    let (mut kept, mut left) = (Some(Vec::new()), bytes);
    let ended = loop {
        let most = left.map_or(PART_BYTES, |left| usize::try_from(left).unwrap_or(PART_BYTES).min(PART_BYTES));
        let mut part = vec![0; most];
        let read = match reader.read(&mut part) {
            Ok(0) if left.is_none_or(|left| left == 0) => break true,
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read")),
            Ok(count) => {
                part.truncate(count);
                Ok(part)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        if let Ok(part) = &read {
            left = left.map(|left| left.saturating_sub(part.len() as u64));
            kept = kept.filter(|kept| kept.len() + part.len() <= MAX_KEPT_BYTES);
            kept.iter_mut().for_each(|kept| kept.extend_from_slice(part));
        }
        let is_last = read.is_err();
        // An error means that nothing more is sent.
        if parts.blocking_send(read.map(Bytes::from)).is_err() {
            break true;
        }
        if is_last {
            break false;
        }
    };
    let kept = kept.filter(|_| ended)?;
    Some(Content { reader: Box::new(io::Cursor::new(kept).chain(reader)), bytes })
}

async fn forward(
    mut waiting: mpsc::Receiver<io::Result<Bytes>>,
    mut sender: Sender<Bytes>,
    has_length: bool,
    failure: ReadFailure,
) {
    while let Some(part) = waiting.recv().await {
        match part {
            Ok(part) => {
                if sender.send_data(part).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                if !has_length {
                    // The server counts what it got, and does not take it for the whole file.
                    let told = (UPLOAD_TRAILER, HeaderValue::from_static("incomplete"));
                    drop(sender.send_trailers(HeaderMap::from_iter([told])).await);
                }
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    fn content(text: &[u8], bytes: Option<u64>) -> Content {
        Content { reader: Box::new(io::Cursor::new(text.to_vec())), bytes }
    }

    #[tokio::test]
    async fn what_was_refused_is_sent_again_from_its_beginning() {
        let text: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        for bytes in [None, Some(text.len() as u64)] {
            let (mut body, sending) = Sending::begin(content(&text, bytes));
            let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(!first.is_empty() && first.len() < text.len());
            let again = sending.stop().await.unwrap();
            assert_eq!(again.bytes, bytes);
            let (body, sending) = Sending::begin(again);
            assert_eq!(body.collect().await.unwrap().to_bytes(), text);
            assert!(sending.failure().is_none());
        }
        let long = vec![0; 2 * MAX_KEPT_BYTES];
        let (body, sending) = Sending::begin(content(&long, None));
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), long.len());
        assert!(sending.stop().await.is_none(), "more was kept than may be");
    }

    #[tokio::test]
    async fn a_file_of_known_length_has_that_length_or_cannot_be_read() {
        let (body, sending) = Sending::begin(content(b"one two", Some(3)));
        assert_eq!(body.collect().await.unwrap().to_bytes(), b"one"[..]);
        assert!(sending.failure().is_none());
        let (body, sending) = Sending::begin(content(b"one", Some(7)));
        drop(body.collect().await);
        assert_eq!(sending.failure().unwrap().kind(), io::ErrorKind::UnexpectedEof);
    }
}
