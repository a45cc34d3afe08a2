//! A call as it is exported.

use super::copy::Fields;
use super::error::ExportError;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::price_book::{Charge, PriceBook, PricingContext};
use domain::{Name, TagKey, Usage};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as NameError;
use serde_json::Value;
use uuid::Uuid;

/// The number of columns of `export.sql`.
pub(super) const WIDTH: usize = 37;

/// A call, in the order of the columns of `export.sql`.
pub(crate) struct Call {
    pub(crate) call_id: Uuid,
    pub(crate) kind: Option<Bytes>,
    /// Microseconds since 1970.
    pub(crate) started_at: i64,
    pub(crate) agent_id: Option<Uuid>,
    pub(crate) agent_name: Option<Bytes>,
    pub(crate) task_id: Option<Uuid>,
    pub(crate) dag_id: Option<Uuid>,
    pub(crate) conversation: Option<Bytes>,
    pub(crate) user: Option<Bytes>,
    pub(crate) team: Option<Bytes>,
    pub(crate) key: Option<Bytes>,
    pub(crate) provider: Option<Bytes>,
    pub(crate) model: Option<Bytes>,
    pub(crate) tool: Option<Bytes>,
    pub(crate) service_tier: Option<Bytes>,
    pub(crate) speed: Option<Bytes>,
    pub(crate) region: Option<Bytes>,
    pub(crate) outcome: Option<Bytes>,
    pub(crate) source: Option<Bytes>,
    /// JSON.
    pub(crate) tags: Option<Bytes>,
    pub(crate) usage: Usage,
    pub(crate) usage_assumed: Option<bool>,
    pub(crate) latency_ms: Option<i64>,
    pub(crate) first_token_ms: Option<i64>,
    /// In units of 10^-12 US dollars, as the reported cost.
    pub(crate) cost: Option<i128>,
    pub(crate) price_tier: Option<Bytes>,
    pub(crate) price_effective_from: Option<i64>,
    pub(crate) price_book_version: Option<i64>,
    pub(crate) reported_cost: Option<i128>,
    pub(crate) reported_cost_source: Option<Bytes>,
    pub(crate) trace_id: Option<Bytes>,
    pub(crate) span_id: Option<Bytes>,
    pub(crate) response_id: Option<Bytes>,
    pub(crate) request_id: Option<Bytes>,
    pub(crate) record_id: Option<Bytes>,
    pub(crate) version: Option<i64>,
    pub(crate) position: Option<i64>,
}

impl Call {
    /// Reads a row. The fields are read in the order in which they are written here, which is that of the statement.
    pub(super) fn of(row: &[Option<Bytes>]) -> Result<Self, ExportError> {
        let fields = &mut Fields::of(row);
        let missing = |column| ExportError::Malformed { column };
        Ok(Self {
            call_id: fields.uuid("call_id")?.ok_or(missing("call_id"))?,
            kind: fields.text("kind")?,
            started_at: fields.time("started_at")?.ok_or(missing("started_at"))?,
            agent_id: fields.uuid("agent_id")?,
            agent_name: fields.text("agent_name")?,
            task_id: fields.uuid("task_id")?,
            dag_id: fields.uuid("dag_id")?,
            conversation: fields.text("conversation")?,
            user: fields.text("user_id")?,
            team: fields.text("team")?,
            key: fields.text("key")?,
            provider: fields.text("provider")?,
            model: fields.text("model")?,
            tool: fields.text("tool")?,
            service_tier: fields.text("service_tier")?,
            speed: fields.text("speed")?,
            region: fields.text("region")?,
            outcome: fields.text("outcome")?,
            source: fields.text("source")?,
            tags: fields.json("tags")?,
            usage: fields
                .json("usage")?
                .and_then(|usage| serde_json::from_slice(&usage).ok())
                .ok_or(missing("usage"))?,
            usage_assumed: fields.boolean("usage_assumed")?,
            latency_ms: fields.integer("latency_ms")?,
            first_token_ms: fields.integer("first_token_ms")?,
            cost: fields.money("cost")?,
            price_tier: fields.text("price_tier")?,
            price_effective_from: fields.time("price_effective_from")?,
            price_book_version: fields.integer("price_book_version")?,
            reported_cost: fields.money("reported_cost")?,
            reported_cost_source: fields.text("reported_cost_source")?,
            trace_id: fields.text("trace_id")?,
            span_id: fields.text("span_id")?,
            response_id: fields.text("response_id")?,
            request_id: fields.text("request_id")?,
            record_id: fields.text("record_id")?,
            version: fields.integer("version")?,
            position: fields.integer("position")?,
        })
    }

    pub(crate) fn is_llm(&self) -> bool {
        self.kind.as_deref() == Some(b"llm")
    }

    pub(crate) fn started(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.started_at).unwrap_or_default()
    }

    /// The value of the tag with a key; none if the call has no such tag.
    pub(crate) fn tag(&self, key: &TagKey) -> Option<String> {
        let tags: Value = serde_json::from_slice(self.tags.as_ref()?).ok()?;
        Some(tags.get(key.as_str())?.as_str()?.to_owned())
    }
}

/// A name as it is stored.
pub(super) fn name(stored: Option<&Bytes>) -> Option<Name> {
    let text = std::str::from_utf8(stored?).ok()?.to_owned();
    let stored: serde::de::value::StringDeserializer<NameError> = text.into_deserializer();
    Name::deserialize(stored).ok()
}

/// The names that the price of a call depends on.
pub(crate) struct Priced {
    pub(super) provider: Option<Name>,
    pub(super) model: Option<Name>,
    service_tier: Option<Name>,
    speed: Option<Name>,
    region: Option<Name>,
}

impl Priced {
    pub(crate) fn of(call: &Call) -> Self {
        Self {
            provider: name(call.provider.as_ref()),
            model: name(call.model.as_ref()),
            service_tier: name(call.service_tier.as_ref()),
            speed: name(call.speed.as_ref()),
            region: name(call.region.as_ref()),
        }
    }

    /// What the charge for the call depends on; none without a model.
    pub(super) fn context<'a>(&'a self, call: &'a Call) -> Option<PricingContext<'a>> {
        Some(PricingContext {
            provider: self.provider.as_ref(),
            model: self.model.as_ref()?,
            usage: &call.usage,
            started_at: call.started(),
            service_tier: self.service_tier.as_ref(),
            speed: self.speed.as_ref(),
            region: self.region.as_ref(),
        })
    }

    /// The charge for a call: it follows from the facts of the call and the version of the price book that the call names. None if
    /// the call has no cost, or the book gives another one than is stored.
    pub(crate) fn charge(&self, call: &Call, book: &PriceBook) -> Option<Charge> {
        let (cost, version) = (call.cost?, u64::try_from(call.price_book_version?).ok()?);
        let charge = book.charge(&self.context(call)?, Some(version)).ok()?;
        (charge.amount.picodollars() == Some(cost)).then_some(charge)
    }
}
