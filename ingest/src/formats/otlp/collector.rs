//! Collects the spans of a file or of a request within a memory limit.
//!
//! A trace may be spread over the whole file, and the names of an outer span are known only when all of them are read. So a
//! small part of every span is held: its ids, and of GenAI spans the few attributes that are read.

use super::attributes::Attributes;
use super::conventions::{ScopeBasis, scope_basis};
use super::decoded::Kept;
use super::exported::{ExportedSpans, KeptSpans};
use super::forest::{Details, Forest, Node};
use super::not_counted::NotRead;
use super::sink::{Sink, Stop};
use super::span::{Span, SpanId};
use super::vendor_attributes;
use crate::error::{Refusal, RefusalReason};
use crate::record::Location;
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
/// The memory of a resource without its attributes, in bytes.
const RESOURCE_BYTES: usize = GROWTH * size_of::<Attributes>();

/// A state of the collector to roll back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Savepoint {
    nodes: usize,
    resources: usize,
    refusals: usize,
    held_bytes: usize,
}

/// Collects spans.
#[derive(Debug)]
pub(crate) struct SpanCollector {
    limit_bytes: usize,
    nodes: Vec<Node>,
    index: HashMap<SpanId, usize>,
    resources: Vec<Attributes>,
    /// Whether the current resource has an entry in `resources`: only one with spans or attributes needs it.
    has_resource: bool,
    scope: ScopeBasis,
    not_read: NotRead,
    held_bytes: usize,
    span_count: u64,
    /// Refused spans that have not been taken by [`SpanCollector::take_refusals`].
    refusals: VecDeque<Refusal>,
    stop: Option<Stop>,
    /// The spans as they are kept, if they are. They have a limit of their own.
    exported: Option<ExportedSpans>,
    keeps_contents: bool,
}

impl SpanCollector {
    /// Holds at most about `limit_bytes` bytes.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            nodes: Vec::new(),
            index: HashMap::new(),
            resources: Vec::new(),
            has_resource: false,
            scope: ScopeBasis::Usual,
            not_read: NotRead::default(),
            held_bytes: 0,
            span_count: 0,
            refusals: VecDeque::new(),
            stop: None,
            exported: None,
            keeps_contents: false,
        }
    }

    /// As [`SpanCollector::new`], and collects the spans as they are kept.
    pub(crate) fn keeping(kept: Kept, limit_bytes: usize) -> Self {
        let exported = (kept != Kept::Nothing).then(ExportedSpans::default);
        Self { exported, keeps_contents: kept == Kept::Contents, ..Self::new(limit_bytes) }
    }

    /// Whether the texts that spans carry are kept.
    pub(crate) fn keeps_contents(&self) -> bool {
        self.keeps_contents
    }

    /// The spans as they are kept, and what is not among them because there are too many; nothing if they are not collected.
    pub(crate) fn take_exported(&mut self) -> KeptSpans {
        self.exported.as_mut().map(|exported| exported.take(&self.resources)).unwrap_or_default()
    }

    /// The current scope.
    pub(crate) fn scope(&self) -> ScopeBasis {
        self.scope
    }

    /// The attributes of the current resource, as far as they are read.
    pub(crate) fn resource(&self) -> Option<&Attributes> {
        self.resources.last().filter(|_| self.has_resource)
    }

    fn current_resource(&mut self) -> usize {
        if !self.has_resource || self.resources.is_empty() {
            self.resources.push(Attributes::default());
            self.held_bytes += RESOURCE_BYTES;
            self.has_resource = true;
        }
        self.resources.len() - 1
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

    /// Counts the memory of what is held beside the spans.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.held_bytes += bytes;
        self.check_limit()
    }

    fn check_limit(&mut self) -> Result<(), &'static str> {
        if self.held_bytes <= self.limit_bytes {
            return Ok(());
        }
        self.stop = Some(Stop::TooManySpans { span: self.span_count, limit_bytes: self.limit_bytes });
        Err("too many spans")
    }

    /// Notes what of the attributes of a record is not read.
    pub(crate) fn note_not_read(&mut self, attributes: &mut Attributes) {
        self.not_read.note(attributes);
    }

    /// The attributes that were not counted or not read.
    pub(crate) fn take_not_read(&mut self) -> NotRead {
        std::mem::take(&mut self.not_read)
    }

    /// Adds a span, or the reason why the front end could not read it. Of a span that was exported before, perhaps while
    /// it was running, both exports are kept if they differ: the trace joins them.
    pub(crate) fn push(&mut self, span: Result<Span, RefusalReason>) -> Result<(), &'static str> {
        let location = Location::Span(self.span_count + 1);
        self.push_at(location, span)
    }

    /// As [`SpanCollector::push`], of a span that is at another location.
    pub(crate) fn push_at(
        &mut self,
        location: Location,
        span: Result<Span, RefusalReason>,
    ) -> Result<(), &'static str> {
        self.span_count += 1;
        match span {
            Ok(mut span) => {
                let resource = self.current_resource();
                if let Some(exported) = &mut self.exported {
                    exported.push(&mut span, resource);
                }
                let node = self.node(span, location);
                let known = self.index.get(&node.id).and_then(|at| self.nodes.get(*at));
                if known.is_none_or(|known| !known.says_all_of(&node)) {
                    self.held_bytes += SPAN_BYTES + node.details.as_deref().map_or(0, Details::heap_bytes);
                    self.index.entry(node.id).or_insert(self.nodes.len());
                    self.nodes.push(node);
                }
            }
            Err(reason) => self.refuse(Refusal { location, reason }),
        }
        self.check_limit()
    }

    fn node(&mut self, mut span: Span, location: Location) -> Node {
        let (id, parent, resource) = (span.id, span.parent, self.current_resource());
        span.scope = vendor_attributes::read_span(span.name.as_deref(), &mut span.attributes).unwrap_or(span.scope);
        self.not_read.note(&mut span.attributes);
        if span.attributes.is_empty() {
            return Node { id, parent, location, resource, details: None };
        }
        let usage = span.attributes.usage(span.scope).unwrap_or_else(|reason| {
            self.refuse(Refusal { location, reason });
            None
        });
        Node { id, parent, location, resource, details: Some(Box::new(Details { span, usage })) }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.held_bytes += REFUSAL_BYTES;
        self.refusals.push_back(refusal);
    }

    pub(crate) fn savepoint(&self) -> Savepoint {
        let (nodes, resources, refusals) = (self.nodes.len(), self.resources.len(), self.refusals.len());
        Savepoint { nodes, resources, refusals, held_bytes: self.held_bytes }
    }

    /// Discards what was pushed after the savepoint: nothing of a malformed line is used.
    pub(crate) fn rollback_to(&mut self, savepoint: Savepoint) {
        for (at, node) in self.nodes.drain(savepoint.nodes..).enumerate() {
            if self.index.get(&node.id) == Some(&(savepoint.nodes + at)) {
                self.index.remove(&node.id);
            }
        }
        self.resources.truncate(savepoint.resources);
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
        Forest::new(self.nodes, &self.index, self.resources)
    }
}

impl Sink for SpanCollector {
    fn start_resource(&mut self) {
        self.has_resource = false;
        self.start_scope();
    }

    fn start_scope(&mut self) {
        self.scope = ScopeBasis::Usual;
        if let Some(exported) = &mut self.exported {
            exported.set_scope(None);
        }
    }

    fn set_scope(&mut self, name: &str) {
        if let Some(exported) = &mut self.exported {
            exported.set_scope(Some(name));
        }
        self.scope = scope_basis(name);
    }

    fn set_resource(&mut self, attributes: Attributes) -> Result<(), &'static str> {
        if attributes.is_empty() {
            return Ok(());
        }
        self.held_bytes += attributes.heap_bytes();
        let at = self.current_resource();
        self.resources[at] = attributes;
        self.check_limit()
    }

    fn stop(&mut self) -> &mut Option<Stop> {
        &mut self.stop
    }
}
