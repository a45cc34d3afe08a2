//! The importers of the formats, and the recognition of a format by the beginning of an input.

use crate::format::Format;
use crate::formats::input::Input;
use crate::formats::sketch::{HEAD_BYTES, Sketch};
use crate::formats::spec::Spec;
use crate::formats::{
    autogpt, azure_llm, claude_code, codex, inspect, jaeger, langfuse, litellm, mooncake, openhands, otlp, responses,
    swe_agent, table, tau_bench,
};
use std::io::{self, Cursor, Read};

pub(crate) fn spec(format: Format) -> &'static Spec {
    match format {
        Format::Autogpt => &autogpt::SPEC,
        Format::AzureLlm => &azure_llm::SPEC,
        Format::ClaudeCode => &claude_code::SPEC,
        Format::Codex => &codex::SPEC,
        Format::Csv => &table::CSV,
        Format::Inspect => &inspect::SPEC,
        Format::Jaeger => &jaeger::SPEC,
        Format::Jsonl => &table::JSONL,
        Format::Langfuse => &langfuse::SPEC,
        Format::LiteLlm => &litellm::SPEC,
        Format::Mooncake => &mooncake::SPEC,
        Format::OpenHands => &openhands::SPEC,
        Format::Otlp => &otlp::SPEC,
        Format::Responses => &responses::SPEC,
        Format::SweAgent => &swe_agent::SPEC,
        Format::TauBench => &tau_bench::SPEC,
    }
}

impl Format {
    /// What the files of the format are.
    #[must_use]
    pub fn about(self) -> &'static str {
        spec(self).about
    }

    /// The endings of the files that are read when a folder is imported.
    #[must_use]
    pub fn extensions(self) -> &'static [&'static str] {
        spec(self).extensions
    }
}

/// The formats that an input may have.
fn candidates(sketch: &Sketch) -> Vec<Format> {
    Format::ALL.iter().copied().filter(|format| (spec(*format).recognises)(sketch)).collect()
}

/// Reads the beginning of an input, and returns the formats that it may have with the input as it was.
///
/// # Errors
/// An I/O error if the beginning cannot be read.
pub async fn recognise(input: Input) -> io::Result<(Input, Vec<Format>)> {
    // Reading from a terminal or an idle pipe blocks.
    tokio::task::spawn_blocking(move || recognise_now(input)).await?
}

fn recognise_now(input: Input) -> io::Result<(Input, Vec<Format>)> {
    let Input { mut reader, total_bytes, content_bytes, read_bytes } = input;
    let mut head = Vec::new();
    reader.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    let sketch = Sketch::of(&head);
    let found = candidates(&sketch);
    let reader = Box::new(Cursor::new(head).chain(reader));
    Ok((Input { reader, total_bytes, content_bytes, read_bytes }, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::recent::Occurrences;
    use crate::formats::spec::{Identifiers, KeyKind};

    impl KeyKind {
        /// The kind as the documents name it.
        fn as_str(self) -> &'static str {
            match self {
                Self::Response => "response id",
                Self::Span => "trace and span",
                Self::ProviderRequest => "request id",
                Self::Request => "id in the source",
                Self::Turn => "session and turn",
                Self::Content => "content",
            }
        }
    }

    #[test]
    fn every_format_says_what_identifies_its_calls() {
        for format in Format::ALL {
            let spec = spec(*format);
            assert!(!spec.identity.is_empty() && !spec.about.is_empty(), "{}", format.as_str());
            assert!(
                format.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{}",
                format.as_str()
            );
        }
        let mut names: Vec<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Format::ALL.len(), "two formats have one name");
    }

    #[test]
    fn the_document_has_the_table_of_keys() {
        let document = include_str!("../../../docs/importing.md");
        for format in Format::ALL {
            let keys: Vec<_> = spec(*format).identity.iter().map(|kind| kind.as_str()).collect();
            let row = format!("| `{}` | {} |", format.as_str(), keys.join(", "));
            assert!(document.contains(&row), "docs/importing.md lacks: {row}");
        }
    }

    #[test]
    fn content_identifies_only_what_has_no_other_key() {
        let mut equal = Occurrences::new(10);
        let unique = Identifiers {
            response_id: Some("chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW"),
            content: &["a"],
            ..Identifiers::default()
        };
        let counted = Identifiers { response_id: Some("chatcmpl-1"), content: &["a"], ..Identifiers::default() };
        let ids = |record: &Identifiers<'_>, equal: &mut Occurrences| openhands::SPEC.call_ids(record, equal);
        assert_eq!(ids(&unique, &mut equal), ids(&unique, &mut equal));
        assert_ne!(ids(&counted, &mut equal), ids(&counted, &mut equal), "equal records are as many calls");
    }

    #[test]
    fn arbitrary_bytes_are_no_format() {
        for bytes in [&b""[..], b"\xff\xfe", b"\0\0\0", b"hello", b"{", b"[[[[[[[[[[", b"\"", b"{\"a\\"] {
            let sketch = Sketch::of(bytes);
            assert_eq!(candidates(&sketch), [], "{bytes:?}");
        }
    }
}
