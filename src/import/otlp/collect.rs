//! What is held of the spans of a file until its end, and the tree that they make.
//!
//! A trace may be spread over the whole file, and which of its spans is to be charged shows only when all are
//! known. So the slim part of every span is held: its ids, and of GenAI spans the few attributes that matter.

use super::json::RawSpan;
use super::semconv::{Attributes, Scalar, Slot};
use crate::import::values::quoted;
use crate::import::{Place, Refusal, RefusalReason};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use domain::Usage;
use std::collections::{HashMap, VecDeque};

/// How much memory all that is held of a file may take at most, in bytes: 256 MiB, enough for a million spans, or
/// for 200,000 with the attributes of a call. A file with more is refused as a whole: a part of a trace cannot be told from all of it.
pub(super) const MAX_HELD_BYTES: usize = 256 * 1024 * 1024;

/// A list that grows holds room for twice what is in it, and what is in it once more while it is copied.
const GROWTH: usize = 2;
/// What a span takes beside its attributes: itself, its entry in the index, which is never more than seven eighths full
/// and after growing less than half, and its place in the tree that is made of all spans.
const SPAN_BYTES: usize =
    GROWTH * (size_of::<Span>() + size_of::<(SpanKey, usize)>() + 1) + size_of::<Option<usize>>() + 2;
/// What a refusal takes: itself, and the text that it quotes.
const REFUSAL_BYTES: usize = GROWTH * size_of::<Refusal>() + 64;
/// What the name of a service takes beside its text.
const SERVICE_BYTES: usize = GROWTH * size_of::<Option<String>>();

/// A span among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SpanKey {
    pub(super) trace: u128,
    pub(super) span: u64,
}

#[derive(Debug)]
pub(super) struct Span {
    pub(super) key: SpanKey,
    parent: Option<u64>,
    pub(super) place: Place,
    resource: usize,
    pub(super) known: Option<Box<Known>>,
}

/// What is known of a GenAI span.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) attributes: Attributes,
    /// The tokens, if it has any.
    pub(super) usage: Option<Usage>,
    /// Its counts make no sense and were refused. It still stands for its tokens, so that they are not charged
    /// to the span around it instead.
    is_refused: bool,
    pub(super) name: Option<Scalar>,
    pub(super) start: Option<Scalar>,
    pub(super) end: Option<Scalar>,
    /// What went wrong.
    pub(super) error: Option<String>,
}

impl Known {
    /// How much memory it holds.
    fn held_bytes(&self) -> usize {
        let scalars = [&self.name, &self.start, &self.end].into_iter().flatten();
        let text: usize = scalars.filter_map(Scalar::text).map(str::len).sum();
        size_of::<Self>() + self.attributes.held_bytes() + text + self.error.as_ref().map_or(0, String::len)
    }
}

/// Why reading stopped inside a JSON value.
#[derive(Debug)]
pub(super) enum Stop {
    TooManySpans { span: u64, limit_bytes: usize },
    NotTraces(String),
}

/// A point to go back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    spans: usize,
    services: usize,
    refusals: usize,
    held_bytes: usize,
}

#[derive(Debug)]
pub(super) struct Collector {
    limit_bytes: usize,
    spans: Vec<Span>,
    index: HashMap<SpanKey, usize>,
    services: Vec<Option<String>>,
    /// Whether the resource that is being read has its place among the services: only one with spans or a name needs it.
    has_resource: bool,
    held_bytes: usize,
    seen: u64,
    /// Spans that were left out, not yet told.
    refusals: VecDeque<Refusal>,
    pub(super) stop: Option<Stop>,
}

impl Collector {
    /// Holds at most about this many bytes.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            spans: Vec::new(),
            index: HashMap::new(),
            services: Vec::new(),
            has_resource: false,
            held_bytes: 0,
            seen: 0,
            refusals: VecDeque::new(),
            stop: None,
        }
    }

    pub(super) fn resource_begins(&mut self) {
        self.has_resource = false;
    }

    /// Says what the last resource is; in JSON that may come after its spans.
    pub(super) fn resource_is(&mut self, attributes: Option<Attributes>) -> Result<(), &'static str> {
        let Some(service) = attributes.as_ref().and_then(|attributes| attributes.text(Slot::Service)) else {
            return Ok(());
        };
        self.held_bytes += service.len();
        let at = self.resource();
        self.services[at] = Some(service.to_owned());
        self.check_held()
    }

    /// The place of the resource that is being read.
    fn resource(&mut self) -> usize {
        if !self.has_resource || self.services.is_empty() {
            self.services.push(None);
            self.held_bytes += SERVICE_BYTES;
            self.has_resource = true;
        }
        self.services.len() - 1
    }

    /// How much memory is held, at most.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// How many spans were read.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    fn check_held(&mut self) -> Result<(), &'static str> {
        if self.held_bytes <= self.limit_bytes {
            return Ok(());
        }
        self.stop = Some(Stop::TooManySpans { span: self.seen, limit_bytes: self.limit_bytes });
        Err("too many spans")
    }

    pub(super) fn not_traces(&mut self, key: &str) -> &'static str {
        self.stop = Some(Stop::NotTraces(quoted(key)));
        "no traces"
    }

    /// Takes a span. A span that is there already, as when an exporter tried twice, is passed over.
    pub(super) fn span(&mut self, raw: RawSpan) -> Result<(), &'static str> {
        self.seen += 1;
        let place = Place::Span(self.seen);
        match self.slim(raw, place) {
            Ok(span) if self.index.contains_key(&span.key) => {}
            Ok(span) => {
                self.held_bytes += SPAN_BYTES + span.known.as_deref().map_or(0, Known::held_bytes);
                self.index.insert(span.key, self.spans.len());
                self.spans.push(span);
            }
            Err(reason) => self.refuse(Refusal { place, reason }),
        }
        self.check_held()
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.held_bytes += REFUSAL_BYTES;
        self.refusals.push_back(refusal);
    }

    fn slim(&mut self, raw: RawSpan, place: Place) -> Result<Span, RefusalReason> {
        let key = SpanKey {
            trace: id("traceId", raw.trace_id.as_ref())?.ok_or(RefusalReason::Missing("traceId"))?,
            span: span_id("spanId", raw.span_id.as_ref())?.ok_or(RefusalReason::Missing("spanId"))?,
        };
        let parent = span_id("parentSpanId", raw.parent_span_id.as_ref())?;
        let resource = self.resource();
        let Some(attributes) = raw.attributes.filter(|attributes| !attributes.is_empty()) else {
            return Ok(Span { key, parent, place, resource, known: None });
        };
        let (usage, is_refused) = match attributes.usage() {
            Ok(usage) => (usage, false),
            Err(reason) => {
                self.refuse(Refusal { place, reason });
                (None, true)
            }
        };
        let error = attributes.text(Slot::Error).map(str::to_owned).or_else(|| raw.status?.failure());
        let (name, start, end) = (raw.name, raw.start_time_unix_nano, raw.end_time_unix_nano);
        let known = Known { attributes, usage, is_refused, name, start, end, error };
        Ok(Span { key, parent, place, resource, known: Some(Box::new(known)) })
    }

    pub(super) fn mark(&self) -> Mark {
        let (spans, services, refusals) = (self.spans.len(), self.services.len(), self.refusals.len());
        Mark { spans, services, refusals, held_bytes: self.held_bytes }
    }

    /// Forgets what came after the mark: of a broken line nothing is taken.
    pub(super) fn go_back(&mut self, mark: Mark) {
        for span in self.spans.drain(mark.spans..) {
            self.index.remove(&span.key);
        }
        self.services.truncate(mark.services);
        self.has_resource = false;
        self.refusals.truncate(mark.refusals);
        self.held_bytes = mark.held_bytes;
    }

    /// Refusals that are told one by one from here: they are not held twice.
    pub(super) fn take_refusals(&mut self) -> VecDeque<Refusal> {
        self.held_bytes -= REFUSAL_BYTES * self.refusals.len();
        std::mem::take(&mut self.refusals)
    }

    /// The spans as a forest, now that all are known.
    pub(super) fn forest(self) -> Forest {
        let parent_of = |span: &Span| {
            let parent = SpanKey { trace: span.key.trace, span: span.parent? };
            self.index.get(&parent).copied()
        };
        let mut parents: Vec<Option<usize>> = self.spans.iter().map(parent_of).collect();
        cut_cycles(&mut parents);
        let mut is_covered = vec![false; parents.len()];
        for (at, span) in self.spans.iter().enumerate() {
            if !span.has_tokens() {
                continue;
            }
            let mut above = parents[at];
            while let Some(ancestor) = above.filter(|ancestor| !is_covered[*ancestor]) {
                is_covered[ancestor] = true;
                above = parents[ancestor];
            }
        }
        Forest { spans: self.spans, parents, is_covered, services: self.services }
    }
}

impl Span {
    fn has_tokens(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.usage.is_some() || known.is_refused)
    }
}

/// All spans of a file with their parents.
pub(super) struct Forest {
    spans: Vec<Span>,
    parents: Vec<Option<usize>>,
    /// Whether a span below has tokens, so that those of this one are the same ones told again.
    is_covered: Vec<bool>,
    services: Vec<Option<String>>,
}

/// How far up a name is looked for.
const MAX_ANCESTORS: usize = 1_000;

impl Forest {
    pub(super) fn get(&self, at: usize) -> Option<&Span> {
        self.spans.get(at)
    }

    /// The tokens to charge to a span: its own, if no span below it has any.
    pub(super) fn usage(&self, at: usize) -> Option<Usage> {
        if self.is_covered[at] { None } else { self.spans[at].known.as_ref()?.usage }
    }

    /// What the span or the nearest one above it says.
    pub(super) fn nearest<T>(&self, at: usize, says: impl Fn(&Attributes) -> Option<T>) -> Option<T> {
        std::iter::successors(Some(at), |at| self.parents[*at])
            .take(MAX_ANCESTORS)
            .find_map(|at| self.spans[at].known.as_ref().and_then(|known| says(&known.attributes)))
    }

    /// The service that the span comes from, unless its name is the default of the SDKs, `unknown_service…`.
    pub(super) fn service(&self, span: &Span) -> Option<&str> {
        let service = self.services.get(span.resource)?.as_deref();
        service.filter(|name| !name.starts_with("unknown_service"))
    }
}

/// Makes a forest of what claims to be one: a link that closes a circle is dropped.
fn cut_cycles(parents: &mut [Option<usize>]) {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Never,
        OnPath,
        Done,
    }
    let mut seen = vec![Seen::Never; parents.len()];
    let mut path = Vec::new();
    for start in 0..parents.len() {
        let mut next = Some(start);
        while let Some(at) = next.filter(|at| seen[*at] == Seen::Never) {
            seen[at] = Seen::OnPath;
            path.push(at);
            if parents[at].is_some_and(|parent| seen[parent] == Seen::OnPath) {
                parents[at] = None;
            }
            next = parents[at];
        }
        for at in path.drain(..) {
            seen[at] = Seen::Done;
        }
    }
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An id of 16 bytes: hex as OTLP's JSON has it, or base64 as JSON made from its protobuf has it.
fn id(field: &'static str, value: Option<&Scalar>) -> Result<Option<u128>, RefusalReason> {
    bytes(field, value).map(|bytes| bytes.map(u128::from_be_bytes))
}

/// An id of 8 bytes, likewise. All zeros are no id.
fn span_id(field: &'static str, value: Option<&Scalar>) -> Result<Option<u64>, RefusalReason> {
    bytes(field, value).map(|bytes| bytes.map(u64::from_be_bytes).filter(|id| *id != 0))
}

fn bytes<const N: usize>(field: &'static str, value: Option<&Scalar>) -> Result<Option<[u8; N]>, RefusalReason> {
    let text = match value {
        None => return Ok(None),
        Some(Scalar::Text(text)) if text.is_empty() => return Ok(None),
        Some(Scalar::Text(text)) => text,
        Some(other) => return Err(RefusalReason::Id { field, found: other.shown() }),
    };
    let decoded = if text.len() == 2 * N { hex(text) } else { BASE64.decode(text).ok() };
    let found = decoded.and_then(|bytes| bytes.try_into().ok());
    found.map(Some).ok_or_else(|| RefusalReason::Id { field, found: quoted(text) })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}
