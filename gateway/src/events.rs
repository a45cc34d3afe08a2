//! Server-sent events: a stream is cut into events, whose bytes stay as they are.

use bytes::{Bytes, BytesMut};

/// Cuts a stream into events.
pub(crate) struct Splitter {
    buffer: BytesMut,
    /// Up to where the buffer has no end of an event.
    searched: usize,
    max_bytes: usize,
}

/// An event is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Splitter {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, max_bytes }
    }

    /// Adds bytes, and takes the events that are complete, with the blank line after each.
    ///
    /// # Errors
    /// [`TooLong`] if an event is longer than the limit.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Bytes>, TooLong> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.end_of_event() {
            events.push(self.buffer.split_to(end).freeze());
            self.searched = 0;
        }
        if self.buffer.len() > self.max_bytes { Err(TooLong) } else { Ok(events) }
    }

    /// The bytes of the event that is not complete yet.
    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// What is left at the end of a stream: an event without a blank line.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.searched = 0;
        self.buffer.split().freeze()
    }

    /// Where the first event ends: after a line without content. A line ends with LF, or CR and LF; a CR alone is not used by
    /// providers.
    fn end_of_event(&mut self) -> Option<usize> {
        let mut at = self.searched;
        while let Some(found) = self.buffer[at..].iter().position(|byte| *byte == b'\n') {
            let after = at + found + 1;
            match &self.buffer[after..] {
                [b'\n', ..] => return Some(after + 1),
                [b'\r', b'\n', ..] => return Some(after + 2),
                [] | [b'\r'] => {
                    // The next bytes decide.
                    self.searched = at + found;
                    return None;
                }
                _ => at = after,
            }
        }
        self.searched = self.buffer.len();
        None
    }
}

/// The data of an event; empty if it has none, such as a comment.
pub(crate) fn data_of(event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let data: Vec<_> = data.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    data.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "event: a\ndata: {\"x\":1}\n\ndata: two\r\ndata: lines\r\n\r\n: comment\n\ndata: [DONE]\n\n";

    #[test]
    fn a_stream_is_cut_alike_however_its_bytes_arrive() {
        let right: Vec<_> = ["{\"x\":1}", "two\nlines", "", "[DONE]"].map(str::to_owned).into();
        for size in 1..=STREAM.len() {
            let mut splitter = Splitter::new(1024);
            let events: Vec<_> =
                STREAM.as_bytes().chunks(size).flat_map(|chunk| splitter.push(chunk).unwrap()).collect();
            assert_eq!(events.concat(), STREAM.as_bytes(), "no byte is lost or moved");
            assert_eq!(events.iter().map(|event| data_of(event)).collect::<Vec<_>>(), right, "{size}");
            assert!(splitter.rest().is_empty());
        }
    }

    #[test]
    fn what_is_left_at_the_end_is_not_lost_and_events_are_limited() {
        let mut splitter = Splitter::new(20);
        assert_eq!(splitter.push(b"data: a\n\ndata: b").unwrap().len(), 1);
        assert_eq!(splitter.rest(), "data: b");
        assert_eq!(splitter.push(&[b'a'; 21]), Err(TooLong));
    }
}
