//! The spans of an export or a file as a forest, in which the names that an outer span gives are looked up.

use super::attributes::{Attributes, StatedUsage};
use super::conventions::{Slot, is_model_call};
use super::span::{Span, SpanId};
use crate::record::Location;
use domain::call::Outcome;
use std::collections::{HashMap, HashSet};

/// A span of the forest.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: SpanId,
    pub(crate) parent: Option<u64>,
    pub(crate) location: Location,
    /// The index of the resource that the span belongs to.
    pub(crate) resource: usize,
    /// The span, if it has attributes that imports use.
    pub(crate) details: Option<Box<Details>>,
}

/// A span with attributes that imports use.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) span: Span,
    /// What the span states was used, if it states anything.
    pub(crate) usage: Option<StatedUsage>,
}

impl Node {
    /// Whether another export of the span says nothing that this one does not.
    pub(crate) fn says_all_of(&self, other: &Self) -> bool {
        let said = |node: &Self| node.details.as_ref().map(|details| (details.usage, details.span.attributes.clone()));
        self.parent == other.parent && (other.details.is_none() || said(self) == said(other))
    }

    /// Whether the span is a call to a model that ended without an error, and has no count, not even one that is 0.
    fn is_ended_model_call(&self) -> bool {
        self.details.as_deref().is_some_and(|Details { span, .. }| {
            let attributes = &span.attributes;
            let is_call = is_model_call(attributes.text(Slot::Operation)) && !attributes.has_count();
            is_call && span.latency_ms().is_some() && span.outcome() == Outcome::Ok
        })
    }
}

impl Details {
    /// The memory that the details take, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.span.heap_bytes()
    }
}

/// All spans of a file, with their parents.
pub(crate) struct Forest {
    nodes: Vec<Node>,
    parents: Vec<Option<usize>>,
    /// The attributes of each resource.
    resources: Vec<Attributes>,
}

/// How the default name of a service begins that SDKs give it.
pub(crate) const UNKNOWN_SERVICE: &str = "unknown_service";

/// The maximum number of spans searched for a name, upwards from a span.
const MAX_ANCESTORS: usize = 1_000;

impl Forest {
    /// Builds the forest; `index` has the place of each node.
    pub(crate) fn new(nodes: Vec<Node>, index: &HashMap<SpanId, usize>, resources: Vec<Attributes>) -> Self {
        let parent_of = |node: &Node| {
            let parent = SpanId { trace: node.id.trace, span: node.parent? };
            index.get(&parent).copied()
        };
        let mut parents: Vec<Option<usize>> = nodes.iter().map(parent_of).collect();
        cut_cycles(&mut parents);
        Self { nodes, parents, resources }
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The place of the parent, if the span is here too.
    pub(crate) fn parent(&self, at: usize) -> Option<usize> {
        self.parents.get(at).copied().flatten()
    }

    /// The number of calls to models that ended without an error, and whose usage neither their span nor one inside of it
    /// states: they happened, but what they cost is not known.
    pub(crate) fn count_unmeasured(&self) -> u64 {
        let mut measured = HashSet::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if node.details.as_ref().is_none_or(|details| details.usage.is_none()) {
                continue;
            }
            // A span that was met before has its outer spans in the set, too.
            let mut next = Some(at);
            while let Some(at) = next.filter(|at| measured.insert(self.nodes[*at].id)) {
                next = self.parent(at);
            }
        }
        let unmeasured = self.nodes.iter().filter(|node| node.is_ended_model_call() && !measured.contains(&node.id));
        unmeasured.map(|node| node.id).collect::<HashSet<_>>().len() as u64
    }

    /// What `find` finds in the attributes of the span, of its nearest ancestor in which it finds anything, or of its resource.
    pub(crate) fn nearest<T>(&self, at: usize, find: impl Fn(&Attributes) -> Option<T>) -> Option<T> {
        let of_spans = std::iter::successors(Some(at), |at| self.parents[*at])
            .take(MAX_ANCESTORS)
            .find_map(|at| self.nodes[at].details.as_ref().and_then(|details| find(&details.span.attributes)));
        of_spans.or_else(|| find(self.resources.get(self.nodes[at].resource)?))
    }

    /// The attributes of the resource of a span.
    pub(crate) fn resource(&self, node: &Node) -> Option<&Attributes> {
        self.resources.get(node.resource)
    }

    /// The service of a span, unless it has the default name of the SDKs, `unknown_service…`.
    pub(crate) fn service(&self, node: &Node) -> Option<&str> {
        let service = self.resources.get(node.resource)?.text(Slot::Service);
        service.filter(|name| !name.starts_with(UNKNOWN_SERVICE))
    }
}

/// Removes every link that closes a cycle.
fn cut_cycles(parents: &mut [Option<usize>]) {
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        Never,
        OnPath,
        Done,
    }
    let mut visits = vec![Visit::Never; parents.len()];
    let mut path = Vec::new();
    for start in 0..parents.len() {
        let mut next = Some(start);
        while let Some(at) = next.filter(|at| visits[*at] == Visit::Never) {
            visits[at] = Visit::OnPath;
            path.push(at);
            if parents[at].is_some_and(|parent| visits[parent] == Visit::OnPath) {
                parents[at] = None;
            }
            next = parents[at];
        }
        for at in path.drain(..) {
            visits[at] = Visit::Done;
        }
    }
}
