//! Single values as the formats write them: counts, names, times and amounts.

use crate::error::RefusalReason;
use crate::format::{Defaults, Format};
use crate::record::AgentRef;
use crate::text::{clipped_name, json_decimal, quoted};
use chrono::{DateTime, Datelike, Utc};
use domain::call::{CallFacts, CallKind, CostSource, ReportedCost};
use domain::{Money, MoneyError, Name, Quantity, without_leap_second};
use rust_decimal::RoundingStrategy;
use serde_json::value::RawValue;

/// No model was called before this year: milliseconds that are read as nanoseconds give times in 1970.
const EARLIEST_YEAR: i32 = 2000;

/// The facts of a call of which only the kind and the start are known.
pub(crate) fn minimal_facts(
    kind: CallKind,
    started_at: DateTime<Utc>,
    source: Format,
) -> Result<CallFacts, RefusalReason> {
    let started_at = without_leap_second(started_at);
    if started_at.year() < EARLIEST_YEAR {
        return Err(RefusalReason::Implausible(started_at));
    }
    Ok(CallFacts::new(kind, started_at, name("source", source.as_str())?))
}

/// A quantity as JSON has it: absent and null are 0.
pub(crate) fn quantity(field: &'static str, number: Option<i64>) -> Result<Quantity, RefusalReason> {
    Quantity::try_from(number.unwrap_or(0)).map_err(|cause| RefusalReason::Quantity { field, cause })
}

/// A name that prices or ids depend on: it is valid, or the record is refused.
pub(crate) fn name(field: &'static str, text: &str) -> Result<Name, RefusalReason> {
    Name::new(text).map_err(|cause| RefusalReason::Text { field, cause })
}

/// The given default, or the default of the format.
pub(crate) fn default_name(given: Option<Name>, name: &'static str) -> Option<Name> {
    given.or_else(|| Name::new(name).ok())
}

/// The default agent, for records that name none.
pub(crate) fn default_agent(format: Format, defaults: &Defaults) -> Option<AgentRef> {
    defaults.agent.as_ref().and_then(|name| AgentRef::new(format, name.as_str(), name.as_str()))
}

/// A time in the notation of RFC 3339.
pub(crate) fn rfc3339(field: &'static str, text: &str) -> Result<DateTime<Utc>, RefusalReason> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|_| RefusalReason::Time { field, found: quoted(text) })
}

/// An id or a name that only informs: absent if nothing of it can be shown, and clipped if it is too long.
pub(crate) fn informative(text: Option<&str>) -> Option<Name> {
    clipped_name(text?)
}

/// The number of decimal places of a reported cost, the same as that of a charge.
const COST_SCALE: u32 = 12;

/// A recorded cost, from its JSON text.
///
/// A string must be a plain decimal. A number was printed from a float, such as `0.009796000000000001` or `9.7e-05`:
/// its digits are read exactly, then rounded half to even to 12 decimal places. No float is made on the way. The formats
/// that have such a cost were written by clients.
///
/// The second value says why there is no cost although the record has one: a cost that cannot be read does not cost the
/// record its usage.
pub(crate) fn reported_cost(field: &'static str, raw: Option<&RawValue>) -> (Option<ReportedCost>, Option<String>) {
    let source = Some(CostSource::Client);
    match amount(field, raw) {
        Ok(Some(amount)) if amount.is_negative() => (None, Some(format!("{field}: {amount} is negative"))),
        Ok(amount) => (amount.map(|amount| ReportedCost { amount, source }), None),
        Err(reason) => (None, Some(reason.to_string())),
    }
}

fn amount(field: &'static str, raw: Option<&RawValue>) -> Result<Option<Money>, RefusalReason> {
    let refused = |cause| RefusalReason::Cost { field, cause };
    let text = match raw.map(RawValue::get) {
        None | Some("null") => return Ok(None),
        Some(text) if text.starts_with('"') => {
            let text: String = serde_json::from_str(text).map_err(RefusalReason::Json)?;
            return Money::parse(&text).map(Some).map_err(refused);
        }
        Some(text) => text,
    };
    let amount = json_decimal(text)
        .ok_or_else(|| refused(MoneyError::NotAnAmount(quoted(text))))?
        .round_dp_with_strategy(COST_SCALE, RoundingStrategy::MidpointNearestEven);
    Money::parse(&amount.normalize().to_string()).map(Some).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(json: &str) -> Result<Option<String>, String> {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        let (cost, ignored) = reported_cost("cost", Some(&raw));
        ignored.map_or_else(|| Ok(cost.map(|cost| cost.amount.to_string())), Err)
    }

    #[test]
    fn recorded_costs_are_read_from_their_digits() {
        for (json, shown) in [
            ("0.009796000000000001", "0.009796"),
            ("9.7e-05", "0.000097"),
            ("9.700000000000001E-5", "0.000097"),
            ("1E3", "1000"),
            ("0.0000000000025", "0.000000000002"),
            ("0.0000000000035", "0.000000000004"),
            ("0", "0"),
            ("\"0.25\"", "0.25"),
        ] {
            assert_eq!(cost(json), Ok(Some(shown.to_owned())), "{json}");
        }
        assert_eq!(cost("null"), Ok(None));
        assert_eq!(reported_cost("cost", None), (None, None));
        assert_eq!(cost("-1.5"), Err("cost: -1.5 is negative".to_owned()));
    }

    #[test]
    fn a_cost_that_is_not_an_amount_is_ignored_with_its_reason() {
        for json in ["\"9.7e-05\"", "\"0.1 USD\"", "\"\"", "1e400", "1e-300", "12345678901234567", "{}", "true"] {
            assert!(cost(json).is_err_and(|message| message.contains("is not an amount")), "{json}");
        }
    }
}
