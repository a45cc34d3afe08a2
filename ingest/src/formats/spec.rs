//! What a format declares of itself, and the identity of its calls.

use crate::error::InputError;
use crate::format::{Defaults, Format};
use crate::formats::lines::Lines;
use crate::formats::reader::Records;
use crate::formats::recent::Occurrences;
use crate::formats::sketch::Sketch;
use domain::call::{CallIds, CallKey, CallKind, CallSpan};

/// A format, as its importer declares it.
pub(crate) struct Spec {
    /// The name on the command line, in derived ids, and as the source of calls.
    pub(crate) name: &'static str,
    /// What the files are, for the help.
    pub(crate) about: &'static str,
    /// The endings of the files that are read when a folder is imported in this format.
    pub(crate) extensions: &'static [&'static str],
    /// What identifies a call, the strongest key first.
    pub(crate) identity: &'static [KeyKind],
    /// Whether the beginning of an input is that of this format.
    pub(crate) recognises: fn(&Sketch) -> bool,
    /// Opens an input.
    pub(crate) open: fn(Lines, Defaults) -> Result<Records, InputError>,
}

/// A kind of key that identifies a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// The id that the provider gave the response, if its form is one that providers make unique, with the family of the
    /// provider and the model that the record names.
    Response,
    /// The ids of the trace and the span.
    Span,
    /// An id that the source gives the call, within an id of the source that contains it.
    Request,
    /// The session, and the first record of the turn.
    Turn,
    /// The content of the record, and the number of equal records before it in its input.
    Content,
}

/// What a record has to identify its call by. Defaults are no part of it: an option never changes the identity of a call.
#[derive(Default)]
pub(crate) struct Identifiers<'a> {
    /// The provider that the record names, or nothing.
    pub(crate) provider: &'a str,
    /// The model that the record names, or nothing.
    pub(crate) model: &'a str,
    pub(crate) response_id: Option<&'a str>,
    pub(crate) span: Option<CallSpan>,
    /// The id of what contains the call in its source, such as a session or a trace, and the id of the call in it.
    pub(crate) request: Option<(&'a str, &'a str)>,
    pub(crate) content: &'a [&'a str],
}

impl Format {
    /// The ids of the call of a record: those of all of its certain keys, else of its content.
    pub(crate) fn call_ids(self, record: &Identifiers<'_>, equal: &mut Occurrences) -> CallIds {
        let source = self.as_str();
        let certain = self.spec().identity.iter().filter_map(|kind| match kind {
            KeyKind::Response => CallKey::of_response(record.provider, record.model, record.response_id?),
            KeyKind::Span => record.span.as_ref().map(|span| CallKey::of_span(CallKind::Llm, span)),
            KeyKind::Request | KeyKind::Turn => {
                let (container, id) = record.request?;
                CallKey::of_request(source, container, id, "")
            }
            KeyKind::Content => None,
        });
        let ids = CallIds::of(certain.map(|key| key.call_id()));
        ids.unwrap_or_else(|| {
            let occurrence = equal.count(record.content);
            CallKey::of_content(source, record.content, occurrence).call_id().into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl KeyKind {
        /// The kind as the documents name it.
        fn as_str(self) -> &'static str {
            match self {
                Self::Response => "response id",
                Self::Span => "trace and span",
                Self::Request => "id in the source",
                Self::Turn => "session and turn",
                Self::Content => "content",
            }
        }
    }

    #[test]
    fn every_format_says_what_identifies_its_calls() {
        for format in Format::ALL {
            let spec = format.spec();
            assert!(!spec.identity.is_empty() && !spec.about.is_empty(), "{}", spec.name);
            assert!(spec.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", spec.name);
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
            let keys: Vec<_> = format.spec().identity.iter().map(|kind| kind.as_str()).collect();
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
        let ids = |record: &Identifiers<'_>, equal: &mut Occurrences| Format::OpenHands.call_ids(record, equal);
        assert_eq!(ids(&unique, &mut equal), ids(&unique, &mut equal));
        assert_ne!(ids(&counted, &mut equal), ids(&counted, &mut equal), "equal records are as many calls");
    }
}
