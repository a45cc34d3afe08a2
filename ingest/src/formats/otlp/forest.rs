//! The spans of a file as a forest, which shows the spans to charge.

use super::attributes::Attributes;
use super::span::{Span, SpanId};
use crate::record::Location;
use domain::Usage;
use std::collections::HashMap;

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
    /// The tokens, if the span has any.
    pub(crate) usage: Option<Usage>,
    /// Whether the token counts were refused. The span still covers its ancestors, so that the same tokens are not
    /// charged by way of an ancestor.
    pub(crate) is_refused: bool,
}

impl Details {
    /// The memory that the details take, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.span.heap_bytes()
    }
}

impl Node {
    fn has_tokens(&self) -> bool {
        self.details.as_ref().is_some_and(|details| details.usage.is_some() || details.is_refused)
    }
}

/// All spans of a file, with their parents.
pub(crate) struct Forest {
    nodes: Vec<Node>,
    parents: Vec<Option<usize>>,
    /// Whether a descendant has tokens, so that the span repeats them.
    is_covered: Vec<bool>,
    /// The name of each resource's service.
    services: Vec<Option<String>>,
}

/// The maximum number of spans searched for a name, upwards from a span.
const MAX_ANCESTORS: usize = 1_000;

impl Forest {
    /// Builds the forest; `index` has the place of each node.
    pub(crate) fn new(nodes: Vec<Node>, index: &HashMap<SpanId, usize>, services: Vec<Option<String>>) -> Self {
        let parent_of = |node: &Node| {
            let parent = SpanId { trace: node.id.trace, span: node.parent? };
            index.get(&parent).copied()
        };
        let mut parents: Vec<Option<usize>> = nodes.iter().map(parent_of).collect();
        cut_cycles(&mut parents);
        let mut is_covered = vec![false; parents.len()];
        for (at, _) in nodes.iter().enumerate().filter(|(_, node)| node.has_tokens()) {
            let mut above = parents[at];
            while let Some(ancestor) = above.filter(|ancestor| !is_covered[*ancestor]) {
                is_covered[ancestor] = true;
                above = parents[ancestor];
            }
        }
        Self { nodes, parents, is_covered, services }
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Node> {
        self.nodes.get(at)
    }

    /// The tokens to charge for a span: its own, if no descendant has any.
    pub(crate) fn usage(&self, at: usize) -> Option<Usage> {
        if self.is_covered[at] { None } else { self.nodes[at].details.as_ref()?.usage }
    }

    /// What `find` finds in the attributes of the span, or of its nearest ancestor in which it finds anything.
    pub(crate) fn nearest<T>(&self, at: usize, find: impl Fn(&Attributes) -> Option<T>) -> Option<T> {
        std::iter::successors(Some(at), |at| self.parents[*at])
            .take(MAX_ANCESTORS)
            .find_map(|at| self.nodes[at].details.as_ref().and_then(|details| find(&details.span.attributes)))
    }

    /// The service of a span, unless it has the default name of the SDKs, `unknown_service…`.
    pub(crate) fn service(&self, node: &Node) -> Option<&str> {
        let service = self.services.get(node.resource)?.as_deref();
        service.filter(|name| !name.starts_with("unknown_service"))
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
