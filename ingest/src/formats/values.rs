//! Single values as the formats write them: counts, names, times and amounts.

use crate::error::RefusalReason;
use crate::format::{Defaults, Format};
use crate::record::AgentRef;
use crate::text::{clipped_name, json_decimal, quoted};
use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use domain::call::{CallFacts, CallKind, CostSource, ReportedCost, provider_name};
use domain::{Money, MoneyError, Name, Quantity, without_leap_second};
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
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

/// A time that a record states as RFC 3339, as a date and a time of day in UTC or with a zone, or as a number of seconds,
/// milliseconds, microseconds or nanoseconds since 1970, whichever gives a year from 2000 on.
pub(crate) fn any_time(field: &'static str, text: &str) -> Result<DateTime<Utc>, RefusalReason> {
    let refused = || RefusalReason::Time { field, found: quoted(text) };
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    if let Some(number) = json_decimal(text) {
        return time_of_number(number).ok_or_else(refused);
    }
    let text = text.strip_suffix(" UTC").or_else(|| text.strip_suffix('Z')).unwrap_or(text);
    let plain = text.replacen('T', " ", 1);
    let with_zone = ["%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z"];
    let zoned = with_zone.iter().find_map(|form| DateTime::parse_from_str(&plain, form).ok());
    zoned
        .map(|time| time.to_utc())
        .or_else(|| NaiveDateTime::parse_from_str(&plain, "%Y-%m-%d %H:%M:%S%.f").ok().map(|time| time.and_utc()))
        .ok_or_else(refused)
}

/// The time of a number since 1970: its unit is the largest that gives a year after 2000 and before 2100.
fn time_of_number(number: Decimal) -> Option<DateTime<Utc>> {
    let nanoseconds_per_unit = [1_000_000_000_i64, 1_000_000, 1_000, 1];
    let times = nanoseconds_per_unit.into_iter().filter_map(|unit| {
        let nanoseconds = number.checked_mul(Decimal::from(unit))?.trunc().to_i64()?;
        Some(DateTime::from_timestamp_nanos(nanoseconds))
    });
    times.into_iter().find(|time| (EARLIEST_YEAR..2100).contains(&time.year()))
}

/// A number of seconds as milliseconds; none if it is none, negative, or too large.
pub(crate) fn seconds_as_ms(value: Option<&RawValue>) -> Option<u64> {
    json_decimal(value?.get())?.checked_mul(Decimal::ONE_THOUSAND)?.to_u64()
}

/// The milliseconds between two times, if they are in order.
pub(crate) fn ms_between(start: Option<DateTime<Utc>>, end: Option<DateTime<Utc>>) -> Option<u64> {
    u64::try_from((end? - start?).num_milliseconds()).ok()
}

/// The model that a record names, or the default.
pub(crate) fn model(field: &'static str, named: Option<&str>, defaults: &Defaults) -> Result<Name, RefusalReason> {
    match (named.filter(|named| !named.trim().is_empty()), &defaults.model) {
        (Some(named), _) => name(field, named),
        (None, Some(model)) => Ok(model.clone()),
        (None, None) => Err(RefusalReason::OptionNeeded { field, option: "--model" }),
    }
}

/// The provider that a record names, by its name in price tables, or the default.
pub(crate) fn provider(
    field: &'static str,
    named: Option<&str>,
    defaults: &Defaults,
) -> Result<Option<Name>, RefusalReason> {
    let named = named.map(str::trim).filter(|named| !named.is_empty());
    named.map_or_else(|| Ok(defaults.provider.clone()), |named| name(field, &provider_name(named)).map(Some))
}

/// The time that a record states, or the default.
pub(crate) fn start(
    field: &'static str,
    stated: Option<DateTime<Utc>>,
    defaults: &Defaults,
) -> Result<DateTime<Utc>, RefusalReason> {
    stated.or(defaults.started_at).ok_or(RefusalReason::OptionNeeded { field, option: "--at" })
}

/// The default agent, or one with the name of the format: for formats that name no agents.
pub(crate) fn agent_or_format(format: Format, defaults: &Defaults) -> Option<AgentRef> {
    default_agent(format, defaults).or_else(|| AgentRef::new(format, format.as_str(), format.as_str()))
}

/// A value that is not needed: none if it has another form than expected.
pub(crate) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let raw = Option::<&RawValue>::deserialize(deserializer)?;
    Ok(raw.and_then(|raw| serde_json::from_str(raw.get()).ok()))
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
    cost_of(field, raw, Some(CostSource::Client))
}

/// As [`reported_cost`], of another source.
pub(crate) fn cost_of(
    field: &'static str,
    raw: Option<&RawValue>,
    source: Option<CostSource>,
) -> (Option<ReportedCost>, Option<String>) {
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
            let text: String = serde_json::from_str(text).map_err(RefusalReason::json)?;
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
    fn times_are_read_in_the_notations_of_tables() {
        let right = "2023-11-16T18:17:03.500+00:00";
        for text in [
            "2023-11-16T18:17:03.5Z",
            "2023-11-16T19:17:03.5+01:00",
            "2023-11-16 18:17:03.5",
            "2023-11-16 18:17:03.5 UTC",
            "2023-11-16T18:17:03.5",
            "2023-11-16 19:17:03.5+0100",
            "1700158623.5",
            "1700158623500",
            "1700158623500000",
            "1700158623500000000",
        ] {
            assert_eq!(any_time("t", text).map(|time| time.to_rfc3339()).ok().as_deref(), Some(right), "{text}");
        }
        for text in ["", "yesterday", "0", "-1", "1e40", "2023-13-01 00:00:00", "12:00"] {
            assert!(any_time("t", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cost_that_is_not_an_amount_is_ignored_with_its_reason() {
        for json in ["\"9.7e-05\"", "\"0.1 USD\"", "\"\"", "1e400", "1e-300", "12345678901234567", "{}", "true"] {
            assert!(cost(json).is_err_and(|message| message.contains("is not an amount")), "{json}");
        }
    }
}
