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
    pub(crate) format: Format,
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
    /// The id that the provider gave the request, if its form is one that providers make unique.
    ProviderRequest,
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
    /// The id that the provider gave the request.
    pub(crate) request_id: Option<&'a str>,
    pub(crate) span: Option<CallSpan>,
    /// The id of what contains the call in its source, such as a session or a trace, and the id of the call in it.
    pub(crate) request: Option<(&'a str, &'a str)>,
    pub(crate) content: &'a [&'a str],
}

impl Spec {
    /// The ids of the call of a record: those of all of its certain keys, else of its content.
    pub(crate) fn call_ids(&self, record: &Identifiers<'_>, equal: &mut Occurrences) -> CallIds {
        let source = self.format.as_str();
        let certain = self.identity.iter().filter_map(|kind| match kind {
            KeyKind::Response => CallKey::of_response(record.provider, record.model, record.response_id?),
            KeyKind::ProviderRequest => CallKey::of_provider_request(record.request_id?),
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
