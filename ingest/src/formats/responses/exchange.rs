//! The record of an answer, with where and when it was received.

use super::shapes::Answer;
use crate::error::RefusalReason;
use crate::format::{Defaults, Format};
use crate::formats::counts::Cached;
use crate::formats::recent::Occurrences;
use crate::formats::spec::{Identifiers, Spec};
use crate::formats::values::{default_agent, informative, minimal_facts, model, provider, start};
use crate::record::{Location, Record};
use chrono::{DateTime, Utc};
use domain::Name;
use domain::call::{CallFacts, CallKind, Outcome};

/// The number of different answers without a unique id that are counted in each of two generations.
const MAX_COUNTED_ANSWERS: usize = 100_000;

/// What turns answers into records.
pub(super) struct Reader {
    spec: &'static Spec,
    defaults: Defaults,
    equal: Occurrences,
}

/// Where and when a response was received, as far as it is recorded.
#[derive(Default)]
pub(super) struct Exchange<'a> {
    pub(super) provider: Option<&'a str>,
    /// The model that the address of the request names.
    pub(super) model: Option<String>,
    pub(super) region: Option<String>,
    pub(super) received_at: Option<DateTime<Utc>>,
    /// The id that the provider gave the request.
    pub(super) request_id: Option<String>,
    /// What tells the exchange from others, if the response has no id.
    pub(super) content: Vec<&'a str>,
}

impl Reader {
    pub(super) fn new(spec: &'static Spec, defaults: Defaults) -> Self {
        Self { spec, defaults, equal: Occurrences::new(MAX_COUNTED_ANSWERS) }
    }

    /// The record of an answer.
    pub(super) fn record(
        &mut self,
        location: Location,
        answer: Answer,
        exchange: Exchange<'_>,
    ) -> Result<Record, RefusalReason> {
        let defaults = &self.defaults;
        let named_provider = exchange.provider.or(defaults.api.as_ref().map(Name::as_str));
        let named_model = exchange.model.as_deref().or(answer.model.as_deref());
        let response_id = answer.id.as_deref().filter(|id| !id.is_empty()).or(exchange.request_id.as_deref());
        let (reported_cost, refused_cost) = answer.cost;
        let stated = answer.created.or(exchange.received_at);
        let facts = CallFacts {
            provider: provider("provider", named_provider, defaults)?,
            model: Some(model("model", named_model, defaults)?),
            usage: answer.counts.usage(answer.cached.unwrap_or(Cached::Inside))?,
            service_tier: informative(answer.service_tier.as_deref()),
            speed: informative(answer.speed.as_deref()),
            region: informative(exchange.region.as_deref().or(answer.region.as_deref())),
            outcome: Some(Outcome::Ok),
            response_id: informative(response_id),
            request_id: informative(exchange.request_id.as_deref()),
            reported_cost,
            ..minimal_facts(CallKind::Llm, start("created", stated, defaults)?, Format::Responses)?
        };
        let identifiers = Identifiers {
            provider: named_provider.unwrap_or_default(),
            model: answer.model.as_deref().or(exchange.model.as_deref()).unwrap_or_default(),
            response_id,
            request_id: exchange.request_id.as_deref(),
            content: &exchange.content,
            ..Identifiers::default()
        };
        let call_ids = self.spec.call_ids(&identifiers, &mut self.equal);
        let unread = answer.unread.join(", ");
        let unread = (!unread.is_empty()).then(|| format!("{unread} is not understood, and was not counted"));
        let ignored: Vec<_> = unread.into_iter().chain(refused_cost).collect();
        let ignored = (!ignored.is_empty()).then(|| ignored.join("; "));
        Ok(Record::new(location, call_ids, default_agent(Format::Responses, defaults), None, facts).ignoring(ignored))
    }
}
