//! The spans of a trace as a tree, in the order in which it is drawn.

use super::{SpanKey, span_of_column};
use domain::AgentId;
use sqlx::FromRow;
use std::collections::HashMap;
use uuid::Uuid;

/// What the place of a span in its trace follows from.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(super) struct SpanLink {
    pub(super) sent_by: Uuid,
    pub(super) span_id: i64,
    pub(super) parent_span_id: Option<i64>,
    pub(super) start_ns: Option<i64>,
    pub(super) end_ns: Option<i64>,
    pub(super) agent_id: Option<Uuid>,
    pub(super) resource_agent_id: Option<Uuid>,
    pub(super) is_truncated: bool,
}

/// A span in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedSpan {
    /// Which span it is.
    pub key: SpanKey,
    /// The number of spans around it that are shown.
    pub depth: u32,
    /// The agent that it belongs to: the one that the credential of its exporter is bound to, else the one that it or the
    /// nearest span around it names, else that of its resource.
    pub agent_id: Option<AgentId>,
    /// When it started, in nanoseconds since 1970.
    pub start_ns: Option<i64>,
    /// When it ended.
    pub end_ns: Option<i64>,
}

/// The spans that belong to one of some agents, each before those inside of it, and those of one parent in the order of
/// their start. All spans, if there is no such list. A span whose parent is not known is a root; of spans that are inside of
/// each other, one is.
pub(super) fn arrange(links: Vec<SpanLink>, only: Option<&[AgentId]>) -> Vec<PlacedSpan> {
    let tree = Tree::of(links);
    let mut placed = Vec::with_capacity(tree.links.len());
    let mut is_visited = vec![false; tree.links.len()];
    let roots = (0..tree.links.len()).filter(|at| tree.parents[*at].is_none());
    // Those that are left are inside of each other.
    for root in roots.chain(0..tree.links.len()) {
        let mut waiting = vec![(root, 0, None)];
        while let Some((at, depth, outer)) = waiting.pop() {
            if std::mem::replace(&mut is_visited[at], true) {
                continue;
            }
            let link = &tree.links[at];
            let named = link.agent_id.or(outer);
            let sender = Some(link.sent_by).filter(|sender| !sender.is_nil());
            let agent_id = sender.or(named).or(link.resource_agent_id).map(AgentId);
            let is_shown = only.is_none_or(|only| agent_id.is_some_and(|agent| only.contains(&agent)));
            // The last one is taken next.
            for inner in tree.children[at].iter().rev() {
                // A span is named by those around it that the same exporter sent.
                let names = named.filter(|_| tree.links[*inner].sent_by == link.sent_by);
                waiting.push((*inner, depth + u32::from(is_shown), names));
            }
            if let (true, Some(span_id)) = (is_shown, span_of_column(link.span_id)) {
                let key = SpanKey { sent_by: link.sent_by, span_id };
                placed.push(PlacedSpan { key, depth, agent_id, start_ns: link.start_ns, end_ns: link.end_ns });
            }
        }
    }
    placed
}

struct Tree {
    /// In the order of their start; those without one last.
    links: Vec<SpanLink>,
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
}

impl Tree {
    fn of(mut links: Vec<SpanLink>) -> Self {
        links.sort_by_key(|link| (link.start_ns.is_none(), link.start_ns, link.span_id.cast_unsigned(), link.sent_by));
        let index: HashMap<_, _> =
            links.iter().enumerate().map(|(at, link)| ((link.sent_by, link.span_id), at)).collect();
        // Of spans with the same id, the one that the first exporter sent in the order of their ids; nil is the lowest one.
        let mut by_id: HashMap<i64, usize> = HashMap::new();
        for (at, link) in links.iter().enumerate() {
            let known = by_id.entry(link.span_id).or_insert(at);
            if link.sent_by < links[*known].sent_by {
                *known = at;
            }
        }
        let parent_of = |link: &SpanLink| {
            let parent = link.parent_span_id?;
            index.get(&(link.sent_by, parent)).or_else(|| by_id.get(&parent)).copied()
        };
        let parents: Vec<Option<usize>> = links.iter().map(parent_of).collect();
        let mut children = vec![Vec::new(); links.len()];
        for (at, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(at);
            }
        }
        Self { links, parents, children }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(0xa);
    const B: Uuid = Uuid::from_u128(0xb);

    fn link(span_id: i64, parent: i64, start: i64) -> SpanLink {
        SpanLink {
            sent_by: Uuid::nil(),
            span_id,
            parent_span_id: Some(parent).filter(|parent| *parent != 0),
            start_ns: Some(start),
            end_ns: None,
            agent_id: None,
            resource_agent_id: None,
            is_truncated: false,
        }
    }

    /// The ids and depths.
    fn drawn(links: &[SpanLink], only: Option<&[AgentId]>) -> Vec<(u64, u32)> {
        arrange(links.to_vec(), only).iter().map(|span| (span.key.span_id.number(), span.depth)).collect()
    }

    fn agents(links: &[SpanLink]) -> Vec<(u64, Option<Uuid>)> {
        let placed = arrange(links.to_vec(), None);
        placed.iter().map(|span| (span.key.span_id.number(), span.agent_id.map(|agent| agent.0))).collect()
    }

    #[test]
    fn a_span_comes_before_those_inside_of_it_in_the_order_of_their_start() {
        let mut links = [link(1, 0, 1), link(2, 1, 9), link(3, 1, 4), link(4, 3, 5), link(5, 2, 2), link(6, 77, 3)];
        let expected = [(1, 0), (3, 1), (4, 2), (2, 1), (5, 2), (6, 0)];
        assert_eq!(drawn(&links, None), expected);
        for _ in 0..links.len() {
            links.rotate_left(1);
            assert_eq!(drawn(&links, None), expected);
        }
        links[2].start_ns = None;
        assert_eq!(drawn(&links, None).len(), links.len());
    }

    #[test]
    fn spans_inside_of_each_other_and_of_themselves_are_drawn_once() {
        let links = [link(1, 3, 1), link(2, 1, 2), link(3, 2, 3), link(4, 4, 4), link(5, 4, 5)];
        assert_eq!(drawn(&links, None), [(1, 0), (2, 1), (3, 2), (4, 0), (5, 1)]);
    }

    #[test]
    fn a_deep_trace_is_drawn() {
        let links: Vec<_> = (1..=10_000).map(|n| link(n, n - 1, 1)).collect();
        assert_eq!(drawn(&links, None).last(), Some(&(10_000, 9_999)));
    }

    #[test]
    fn a_span_belongs_to_the_agent_that_it_or_the_nearest_span_around_it_names() {
        let mut links = [link(1, 0, 1), link(2, 1, 2), link(3, 2, 3), link(4, 3, 4), link(5, 0, 5), link(6, 1, 6)];
        links[1].agent_id = Some(A);
        links[2].resource_agent_id = Some(B);
        links[3].sent_by = B;
        links[4].resource_agent_id = Some(B);
        assert_eq!(agents(&links), [(1, None), (2, Some(A)), (3, Some(A)), (4, Some(B)), (6, None), (5, Some(B))]);
    }

    #[test]
    fn only_spans_of_the_agents_are_shown() {
        let mut links = [link(1, 0, 1), link(2, 1, 2), link(3, 2, 3), link(4, 3, 4)];
        links[1].agent_id = Some(A);
        links[2].agent_id = Some(B);
        links[3].agent_id = Some(A);
        assert_eq!(drawn(&links, Some(&[AgentId(A)])), [(2, 0), (4, 1)]);
        assert_eq!(drawn(&links, Some(&[])), []);
    }

    #[test]
    fn the_parent_is_the_one_of_the_same_exporter_if_it_sent_one() {
        let mut links = [link(1, 0, 1), link(1, 0, 2), link(2, 1, 3), link(3, 1, 4)];
        links[1].sent_by = A;
        links[2].sent_by = A;
        links[3].sent_by = B;
        let placed = arrange(links.to_vec(), None);
        let order: Vec<_> = placed.iter().map(|span| (span.key.sent_by, span.key.span_id.number())).collect();
        assert_eq!(order, [(Uuid::nil(), 1), (B, 3), (A, 1), (A, 2)]);
    }
}
