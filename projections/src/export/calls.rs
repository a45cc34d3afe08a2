//! One row for each call.

use super::call::{Call, Priced};
use super::decimal::MONEY_SCALE;
use super::error::ExportError;
use super::table::{Column, Kind, Value};
use domain::Meter;
use domain::price_book::{ChargeError, PriceBook, Unpriced};
use std::collections::HashMap;

/// The columns before those of the meters.
const BEFORE: [Column; 23] = [
    Column::distinct("call_id", Kind::Uuid),
    Column::new("kind", Kind::Text),
    Column::distinct("started_at", Kind::Time),
    Column::new("agent_id", Kind::Uuid),
    Column::new("agent_name", Kind::Text),
    Column::new("task_id", Kind::Uuid),
    Column::new("dag_id", Kind::Uuid),
    Column::new("conversation", Kind::Text),
    Column::new("user", Kind::Text),
    Column::new("team", Kind::Text),
    Column::new("key", Kind::Text),
    Column::new("provider", Kind::Text),
    Column::new("model", Kind::Text),
    Column::new("tool", Kind::Text),
    Column::new("service_tier", Kind::Text),
    Column::new("speed", Kind::Text),
    Column::new("region", Kind::Text),
    Column::new("outcome", Kind::Text),
    Column::new("source", Kind::Text),
    Column::new("tags", Kind::Json),
    Column::new("latency_ms", Kind::Integer),
    Column::new("first_token_ms", Kind::Integer),
    Column::new("usage_assumed", Kind::Boolean),
];

/// The columns after those of the meters.
const AFTER: [Column; 15] = [
    Column::new("cost", Kind::Decimal(MONEY_SCALE)),
    Column::new("unpriced", Kind::Boolean),
    Column::new("unpriced_reason", Kind::Text),
    Column::new("price_conditions", Kind::Text),
    Column::new("price_effective_from", Kind::Time),
    Column::new("price_book_version", Kind::Integer),
    Column::new("reported_cost", Kind::Decimal(MONEY_SCALE)),
    Column::new("reported_cost_source", Kind::Text),
    Column::distinct("trace_id", Kind::Text),
    Column::distinct("span_id", Kind::Text),
    Column::distinct("response_id", Kind::Text),
    Column::distinct("request_id", Kind::Text),
    Column::distinct("record_id", Kind::Text),
    Column::new("version", Kind::Integer),
    Column::distinct("position", Kind::Integer),
];

/// The most models of which it is kept why they have no price.
const MAX_KEPT_REASONS: usize = 10_000;

/// What is said of a call that has no charge, though the newest version of the price book has a price for it.
const PRICED_SINCE: &str = "it has a price now, by which it is charged when it is priced again";

/// Makes the rows.
pub(super) struct Calls {
    book: PriceBook,
    /// Why models have no price, where that does not depend on the call, by provider and model.
    reasons: HashMap<(Option<String>, String), Value>,
}

impl Calls {
    pub(super) fn new(book: PriceBook) -> Self {
        Self { book, reasons: HashMap::new() }
    }

    pub(super) fn columns() -> Vec<Column> {
        let meters = Meter::ALL.iter().map(|meter| Column::new(meter.column(), Kind::Integer));
        BEFORE.into_iter().chain(meters).chain(AFTER).collect()
    }

    /// Replaces the values of a row by those of a call.
    pub(super) fn fill(&mut self, call: Call, row: &mut Vec<Value>) -> Result<(), ExportError> {
        let is_unpriced = call.is_llm() && call.cost.is_none();
        let reason = if is_unpriced { self.unpriced(&call) } else { Value::Null };
        row.clear();
        row.extend([
            call.call_id.into(),
            call.kind.into(),
            Value::Time(call.started_at),
            call.agent_id.into(),
            call.agent_name.into(),
            call.task_id.into(),
            call.dag_id.into(),
            call.conversation.into(),
            call.user.into(),
            call.team.into(),
            call.key.into(),
            call.provider.into(),
            call.model.into(),
            call.tool.into(),
            call.service_tier.into(),
            call.speed.into(),
            call.region.into(),
            call.outcome.into(),
            call.source.into(),
            call.tags.into(),
            call.latency_ms.into(),
            call.first_token_ms.into(),
            call.usage_assumed.into(),
        ]);
        for meter in Meter::ALL {
            let quantity = i64::try_from(call.usage.get(*meter).get());
            row.push(Value::Integer(quantity.map_err(|_| ExportError::OutOfRange { column: meter.column() })?));
        }
        row.extend([
            call.cost.map_or(Value::Null, Value::Decimal),
            Value::Boolean(is_unpriced),
            reason,
            call.price_tier.into(),
            call.price_effective_from.map_or(Value::Null, Value::Time),
            call.price_book_version.into(),
            call.reported_cost.map_or(Value::Null, Value::Decimal),
            call.reported_cost_source.into(),
            call.trace_id.into(),
            call.span_id.into(),
            call.response_id.into(),
            call.request_id.into(),
            call.record_id.into(),
            call.version.into(),
            call.position.into(),
        ]);
        Ok(())
    }

    /// Why a call has no price, by the newest version of the price book.
    fn unpriced(&mut self, call: &Call) -> Value {
        let priced = Priced::of(call);
        let Some(context) = priced.context(call) else { return Value::Null };
        let key = (context.provider.map(ToString::to_string), context.model.to_string());
        if let Some(kept) = self.reasons.get(&key) {
            return kept.clone();
        }
        let (reason, is_of_model) = match self.book.charge(&context, None) {
            Err(ChargeError::Unpriced(reason)) => {
                let is_of_model = matches!(reason, Unpriced::UnknownModel | Unpriced::OtherProviders(_));
                (Value::text(reason.to_string()), is_of_model)
            }
            Err(ChargeError::Money(error)) => (Value::text(error.to_string()), false),
            Ok(_) => (PRICED_SINCE.into(), false),
        };
        if is_of_model && self.reasons.len() < MAX_KEPT_REASONS {
            self.reasons.insert(key, reason.clone());
        }
        reason
    }
}
