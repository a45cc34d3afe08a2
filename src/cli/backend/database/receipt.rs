//! Receipts as JSON, with the members that GraphQL has for them.

use crate::cli::backend::meter_name;
use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use domain::price_book::{Charge, ChargeLine, Conditions, PriceSource, TimeWindow};
use domain::receipt::{Receipt, UsedMeter};
use domain::{Currency, Meter};
use serde_json::{Value, json};

/// A receipt as GraphQL has it.
pub(super) fn document(receipt: &Receipt) -> Value {
    json!({
        "text": receipt.to_string(),
        "usage": receipt.usage.iter().map(used).collect::<Vec<_>>(),
        "charge": receipt.charge.as_ref().map(charge),
        "source": receipt.source.as_ref().map(|(table, _)| source(table)),
        "sourceVersion": receipt.source.as_ref().map(|(_, version)| version),
        "unpriced": receipt.unpriced.as_ref().map(ToString::to_string),
    })
}

fn used(used: &UsedMeter) -> Value {
    let part = |(meter, quantity): &(Meter, u64)| json!({ "meter": meter_name(*meter), "quantity": quantity });
    json!({
        "meter": meter_name(used.meter),
        "quantity": used.quantity,
        "parts": used.parts.iter().map(part).collect::<Vec<_>>(),
        "units": used.units,
        "billedAs": used.billed_as.map(meter_name),
    })
}

fn time(at: DateTime<Utc>) -> String {
    at.round_subsecs(6).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn charge(charge: &Charge) -> Value {
    json!({
        "amount": charge.amount,
        "currency": Currency::Usd,
        "bookVersion": charge.book_version,
        "effectiveFrom": time(charge.effective_from),
        "seller": charge.seller,
        "matched": charge.matched.as_ref().map(|matched| json!({
            "model": matched.model,
            "by": matched.by.as_str().to_uppercase(),
            "pattern": matched.pattern.as_ref().map(ToString::to_string),
        })),
        "contract": charge.contract,
        "discount": charge.discount.as_ref().map(|applied| json!({
            "name": applied.name,
            "percent": applied.percent.to_string(),
        })),
        "lines": charge.lines.iter().map(line).collect::<Vec<_>>(),
        "unbilled": charge.unbilled.iter().copied().map(meter_name).collect::<Vec<_>>(),
    })
}

fn line(ChargeLine { component, units, cost, .. }: &ChargeLine) -> Value {
    json!({
        "meter": meter_name(component.meter),
        "units": units,
        "rate": component.rate.as_money(),
        "per": component.per,
        "when": (!component.when.is_empty()).then(|| conditions(&component.when)),
        "cost": cost,
    })
}

fn conditions(when: &Conditions) -> Value {
    let window = |time: &TimeWindow| {
        json!({
            "from": time.from.to_string(),
            "to": time.to.to_string(),
            "utcOffsetMinutes": time.utc_offset_minutes,
            "weekdays": time.weekdays,
        })
    };
    let size = when.context.map(|context| json!({ "above": context.above, "graduated": context.graduated }));
    json!({
        "context": size,
        "serviceTier": when.service_tier,
        "speed": when.speed,
        "region": when.region,
        "time": when.time.as_ref().map(window),
    })
}

fn source(table: &PriceSource) -> Value {
    json!({ "name": table.name, "licence": table.licence, "dated": table.dated.map(|day| day.to_string()) })
}
