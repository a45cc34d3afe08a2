//! Collects the spans of a file within a memory limit.
//!
//! A trace may be spread over the whole file, and which of its spans are charged is known only when all of them are
//! read. So a small part of every span is held: its ids, and of GenAI spans the few attributes that imports use.

use super::attributes::{Attributes, Slot};
use super::forest::{Details, Forest, Node};
use super::span::{Span, SpanId};
use crate::error::{InputError, Refusal, RefusalReason};
use crate::record::Location;
use crate::text::quoted;
use std::collections::{HashMap, VecDeque};

/// The maximum memory for the spans of a file, in bytes: 256 MiB, enough for a million spans, or for 200,000 with the
/// attributes of a call. A larger file is refused as a whole, because a part of a trace cannot be told from all of it.
pub(crate) const MAX_HELD_BYTES: usize = 256 * 1024 * 1024;

/// A growing list has capacity for up to twice its content.
const GROWTH: usize = 2;
/// The memory of a span without its details, in bytes: its node, its entry in the index, whose load factor is at most
/// seven eighths and after growing less than half, and its entries in the forest.
const SPAN_BYTES: usize =
    GROWTH * (size_of::<Node>() + size_of::<(SpanId, usize)>() + 1) + size_of::<Option<usize>>() + 2;
/// The memory of a refusal, in bytes: itself, and the text that it quotes.
const REFUSAL_BYTES: usize = GROWTH * size_of::<Refusal>() + 64;
/// The memory of a service's name without its text, in bytes.
const SERVICE_BYTES: usize = GROWTH * size_of::<Option<String>>();

/// Why a front end must stop reading.
#[derive(Debug)]
pub(crate) enum Stop {
    TooManySpans { span: u64, limit_bytes: usize },
    NotTraces { found: String },
}

impl From<Stop> for InputError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::TooManySpans { span, limit_bytes } => Self::TooManySpans { span, limit_bytes },
            Stop::NotTraces { found } => Self::NotTraces { found },
        }
    }
}

/// A state of the collector to roll back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Savepoint {
    nodes: usize,
    services: usize,
    refusals: usize,
    held_bytes: usize,
}

/// Collects spans.
#[derive(Debug)]
pub(crate) struct SpanCollector {
    limit_bytes: usize,
    nodes: Vec<Node>,
    index: HashMap<SpanId, usize>,
    services: Vec<Option<String>>,
    /// Whether the current resource has an entry in `services`: only one with spans or a name needs it.
    has_resource: bool,
    held_bytes: usize,
    span_count: u64,
    /// Refused spans that have not been taken by [`SpanCollector::take_refusals`].
    refusals: VecDeque<Refusal>,
    /// Set when a method returned an error: a parser's own errors can carry no more than text.
    pub(crate) stop: Option<Stop>,
}

impl SpanCollector {
    /// Holds at most about `limit_bytes` bytes.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            nodes: Vec::new(),
            index: HashMap::new(),
            services: Vec::new(),
            has_resource: false,
            held_bytes: 0,
            span_count: 0,
            refusals: VecDeque::new(),
            stop: None,
        }
    }

    /// Starts a resource: the spans that follow belong to it.
    pub(crate) fn start_resource(&mut self) {
        self.has_resource = false;
    }

    /// Sets the attributes of the current resource. In JSON they may follow its spans.
    pub(crate) fn set_resource(&mut self, attributes: Option<Attributes>) -> Result<(), &'static str> {
        let Some(service) = attributes.as_ref().and_then(|attributes| attributes.text(Slot::Service)) else {
            return Ok(());
        };
        self.held_bytes += service.len();
        let at = self.current_resource();
        self.services[at] = Some(service.to_owned());
        self.check_limit()
    }

    fn current_resource(&mut self) -> usize {
        if !self.has_resource || self.services.is_empty() {
            self.services.push(None);
            self.held_bytes += SERVICE_BYTES;
            self.has_resource = true;
        }
        self.services.len() - 1
    }

    /// The estimated memory in use, in bytes.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// The number of spans pushed so far.
    pub(crate) fn span_count(&self) -> u64 {
        self.span_count
    }

    fn check_limit(&mut self) -> Result<(), &'static str> {
        if self.held_bytes <= self.limit_bytes {
            return Ok(());
        }
        self.stop = Some(Stop::TooManySpans { span: self.span_count, limit_bytes: self.limit_bytes });
        Err("too many spans")
    }

    /// Records that the input holds no traces, but an object with this key.
    pub(crate) fn not_traces(&mut self, key: &str) -> &'static str {
        self.stop = Some(Stop::NotTraces { found: quoted(key) });
        "no traces"
    }

    /// Adds a span, or the reason why the front end could not read it. A span with the id of an earlier one is skipped:
    /// the exporter sent it twice.
    pub(crate) fn push(&mut self, span: Result<Span, RefusalReason>) -> Result<(), &'static str> {
        self.span_count += 1;
        let location = Location::Span(self.span_count);
        match span {
            Ok(span) => {
                let node = self.node(span, location);
                if !self.index.contains_key(&node.id) {
                    self.held_bytes += SPAN_BYTES + node.details.as_deref().map_or(0, Details::heap_bytes);
                    self.index.insert(node.id, self.nodes.len());
                    self.nodes.push(node);
                }
            }
            Err(reason) => self.refuse(Refusal { location, reason }),
        }
        self.check_limit()
    }

    fn node(&mut self, span: Span, location: Location) -> Node {
        let (id, parent, resource) = (span.id, span.parent, self.current_resource());
        if span.attributes.is_empty() {
            return Node { id, parent, location, resource, details: None };
        }
        let (usage, is_refused) = match span.attributes.usage() {
            Ok(usage) => (usage, false),
            Err(reason) => {
                self.refuse(Refusal { location, reason });
                (None, true)
            }
        };
        Node { id, parent, location, resource, details: Some(Box::new(Details { span, usage, is_refused })) }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.held_bytes += REFUSAL_BYTES;
        self.refusals.push_back(refusal);
    }

    pub(crate) fn savepoint(&self) -> Savepoint {
        let (nodes, services, refusals) = (self.nodes.len(), self.services.len(), self.refusals.len());
        Savepoint { nodes, services, refusals, held_bytes: self.held_bytes }
    }

    /// Discards what was pushed after the savepoint: nothing of a malformed line is used.
    pub(crate) fn rollback_to(&mut self, savepoint: Savepoint) {
        for node in self.nodes.drain(savepoint.nodes..) {
            self.index.remove(&node.id);
        }
        self.services.truncate(savepoint.services);
        self.has_resource = false;
        self.refusals.truncate(savepoint.refusals);
        self.held_bytes = savepoint.held_bytes;
    }

    /// Takes the refusals out of the collector, which no longer counts their memory.
    pub(crate) fn take_refusals(&mut self) -> VecDeque<Refusal> {
        self.held_bytes -= REFUSAL_BYTES * self.refusals.len();
        std::mem::take(&mut self.refusals)
    }

    /// The forest of all spans, once the input is read to its end.
    pub(crate) fn into_forest(self) -> Forest {
        Forest::new(self.nodes, &self.index, self.services)
    }
}
