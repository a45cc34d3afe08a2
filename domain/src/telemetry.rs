//! The spans that exporters send, as far as they are kept so that a trace can be drawn.
//!
//! They are no events: nothing is decided or charged by them, and they are deleted after a time. Of a span that is exported
//! several times, perhaps while it runs, one export is kept as a whole; which one does not depend on their order.
//! Prompts and responses are among it only where they are kept ([`crate::span_contents`]). Deliberately absent: all other
//! attributes.

use crate::call::{SpanId, TraceId};
use crate::ids::{AgentId, content_id};
use crate::span_contents::SpanContents;
use crate::text::{Body, Name};
use std::fmt::Write as _;
use std::sync::Arc;
use uuid::Uuid;

/// The most spans of a trace that are kept.
pub const MAX_KEPT_SPANS: usize = 10_000;

/// What a span is in the communication with other services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Work inside of a service.
    Internal,
    /// The handling of a request.
    Server,
    /// A request to another service.
    Client,
    /// The sending of a message, which is handled later.
    Producer,
    /// The handling of a message.
    Consumer,
}

impl SpanKind {
    /// All kinds, in the order of their numbers in OpenTelemetry, from 1.
    pub const ALL: [Self; 5] = [Self::Internal, Self::Server, Self::Client, Self::Producer, Self::Consumer];

    /// The kind with a number of OpenTelemetry; none for other numbers.
    #[must_use]
    pub fn of_number(number: i64) -> Option<Self> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        Self::ALL.get(index).copied()
    }

    /// The number in OpenTelemetry.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
            Self::Producer => 4,
            Self::Consumer => 5,
        }
    }
}

/// How a span ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpanStatus {
    /// The exporter does not say.
    #[default]
    Unset,
    /// The exporter says that it succeeded.
    Ok,
    /// The exporter says that it failed.
    Error,
}

impl SpanStatus {
    /// All statuses, in the order of their numbers in OpenTelemetry, from 0.
    pub const ALL: [Self; 3] = [Self::Unset, Self::Ok, Self::Error];

    /// The status with a number of OpenTelemetry; none for other numbers.
    #[must_use]
    pub fn of_number(number: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The number in OpenTelemetry.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::Unset => 0,
            Self::Ok => 1,
            Self::Error => 2,
        }
    }
}

/// One export of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedSpan {
    /// The trace that the span is a part of.
    pub trace_id: TraceId,
    /// The id of the span in the trace.
    pub span_id: SpanId,
    /// The span that this one is a part of; none for a root.
    pub parent_span_id: Option<SpanId>,
    /// The name, clipped.
    pub name: Option<Name>,
    /// The kind, if it is stated.
    pub kind: Option<SpanKind>,
    /// When the span started, in nanoseconds since 1970; none if that is not a time.
    pub start_ns: Option<i64>,
    /// When the span ended; none if it had not ended when it was exported.
    pub end_ns: Option<i64>,
    /// How the span ended.
    pub status: SpanStatus,
    /// The message of the status, clipped.
    pub status_message: Option<Body>,
    /// The agent that the attributes of the span name.
    pub agent_id: Option<AgentId>,
    /// The agent that the attributes of the resource name, else the service.
    pub resource_agent_id: Option<AgentId>,
    /// The service that exported the span.
    pub service: Option<Arc<Name>>,
    /// The instrumentation that wrote the span.
    pub scope: Option<Arc<Name>>,
    /// The prompts, responses and other texts that it carries, if they are kept.
    pub contents: Option<SpanContents>,
}

/// Which of several exports of a span is kept: the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// When the span ended, 0 if it had not.
    pub end_ns: i64,
    /// How much the export says: a status says more than any other field, and an error more than success.
    pub completeness: i16,
    /// The id of the content, which decides between exports that say as much.
    pub content_id: Uuid,
}

impl ExportedSpan {
    /// Which of several exports of the span is kept. Equal exports have equal ranks, and others have different ones.
    #[must_use]
    pub fn rank(&self) -> Rank {
        let said = [
            self.parent_span_id.is_some(),
            self.name.is_some(),
            self.kind.is_some(),
            self.start_ns.is_some(),
            self.status_message.is_some(),
            self.agent_id.is_some(),
            self.resource_agent_id.is_some(),
            self.service.is_some(),
            self.scope.is_some(),
            self.contents.is_some(),
        ];
        let fields: i16 = said.into_iter().map(i16::from).sum();
        let completeness = self.status.number() * 16 + fields;
        Rank { end_ns: self.end_ns.unwrap_or(0), completeness, content_id: content_id("span", self.text().as_bytes()) }
    }

    /// All fields but the ids as text. No field has the control character between them.
    fn text(&self) -> String {
        let mut text = String::with_capacity(256);
        let mut add = |field: Option<&dyn std::fmt::Display>| {
            // Writing to a string does not fail.
            match field {
                Some(field) => write!(text, "{field}\u{1f}").unwrap_or_default(),
                None => text.push_str("\u{1e}\u{1f}"),
            }
        };
        let kind = self.kind.map(SpanKind::number);
        add(self.parent_span_id.as_ref().map(|id| id as _));
        add(self.name.as_ref().map(|name| name as _));
        add(kind.as_ref().map(|kind| kind as _));
        add(self.start_ns.as_ref().map(|start| start as _));
        add(self.end_ns.as_ref().map(|end| end as _));
        add(Some(&self.status.number()));
        add(self.status_message.as_ref().map(|message| message as _));
        add(self.agent_id.as_ref().map(|agent| agent as _));
        add(self.resource_agent_id.as_ref().map(|agent| agent as _));
        add(self.service.as_deref().map(|service| service as _));
        add(self.scope.as_deref().map(|scope| scope as _));
        // Where they are not kept, the id is the same as where they are and there are none.
        if let Some(contents) = &self.contents {
            add(Some(&contents.json()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span_contents::{ContentSource, SpanContent};

    fn span() -> ExportedSpan {
        ExportedSpan {
            trace_id: TraceId::new(7).unwrap(),
            span_id: SpanId::new(8).unwrap(),
            parent_span_id: None,
            name: Name::new("chat").ok(),
            kind: None,
            start_ns: Some(1),
            end_ns: None,
            status: SpanStatus::Unset,
            status_message: None,
            agent_id: None,
            resource_agent_id: None,
            service: None,
            scope: None,
            contents: None,
        }
    }

    fn contents(text: &str) -> Option<SpanContents> {
        let content = SpanContent {
            source: ContentSource::Attribute,
            event: None,
            time_ns: None,
            name: "gen_ai.prompt".to_owned(),
            text: text.to_owned(),
            total_bytes: text.len() as u64,
        };
        SpanContents::of(vec![content], 0)
    }

    #[test]
    fn the_export_with_the_latest_end_is_kept_then_the_one_that_says_more() {
        let running = span();
        let ended = ExportedSpan { end_ns: Some(5), name: None, ..span() };
        let later = ExportedSpan { end_ns: Some(6), ..span() };
        let failed = ExportedSpan { status: SpanStatus::Error, ..later.clone() };
        let with_texts = ExportedSpan { contents: contents("a"), ..later.clone() };
        let mut ranks = [&failed, &running, &with_texts, &later, &ended].map(ExportedSpan::rank);
        ranks.sort();
        assert_eq!(ranks, [&running, &ended, &later, &with_texts, &failed].map(ExportedSpan::rank));
    }

    #[test]
    fn exports_that_differ_in_any_field_have_different_ranks() {
        let agent = Some(AgentId(Uuid::from_u128(1)));
        let name = |text: &str| Name::new(text).ok();
        let spans = [
            span(),
            ExportedSpan { parent_span_id: SpanId::new(1), ..span() },
            ExportedSpan { parent_span_id: SpanId::new(2), ..span() },
            ExportedSpan { name: name("other"), ..span() },
            ExportedSpan { kind: Some(SpanKind::Client), ..span() },
            ExportedSpan { start_ns: Some(2), ..span() },
            ExportedSpan { end_ns: Some(2), ..span() },
            ExportedSpan { status: SpanStatus::Ok, ..span() },
            ExportedSpan { status_message: Body::new("no").ok(), ..span() },
            ExportedSpan { agent_id: agent, ..span() },
            ExportedSpan { resource_agent_id: agent, ..span() },
            ExportedSpan { service: name("a").map(Arc::new), ..span() },
            ExportedSpan { scope: name("a").map(Arc::new), ..span() },
            ExportedSpan { contents: contents("a"), ..span() },
            ExportedSpan { contents: contents("b"), ..span() },
        ];
        let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.rank().content_id).collect();
        assert_eq!(ids.len(), spans.len());
        assert_eq!(span().rank(), span().rank());
    }

    #[test]
    fn numbers_are_those_of_opentelemetry() {
        for kind in SpanKind::ALL {
            assert_eq!(SpanKind::of_number(i64::from(kind.number())), Some(kind));
        }
        for status in SpanStatus::ALL {
            assert_eq!(SpanStatus::of_number(i64::from(status.number())), Some(status));
        }
        for other in [i64::MIN, -1, 0, 6, i64::MAX] {
            assert_eq!(SpanKind::of_number(other), None, "{other}");
        }
        assert_eq!((SpanStatus::of_number(-1), SpanStatus::of_number(3)), (None, None));
    }
}
