//! Single values, as the formats write them: counts, names, times and amounts.

use super::{AgentRef, Format, Options, RefusalReason};
use chrono::{DateTime, Datelike, Utc};
use domain::call::{CallFacts, CallKind};
use domain::{Body, Money, MoneyError, Name, TextError, Tokens, Usage, without_leap_second};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::value::RawValue;

/// Calls of models that began before this year did not: milliseconds that are read as nanoseconds lie in 1970.
const EARLIEST_YEAR: i32 = 2000;

/// What a record says of a call when it says no more than when it began.
pub(super) fn bare_facts(
    kind: CallKind,
    started_at: DateTime<Utc>,
    source: Format,
) -> Result<CallFacts, RefusalReason> {
    let started_at = without_leap_second(started_at);
    if started_at.year() < EARLIEST_YEAR {
        return Err(RefusalReason::Implausible(started_at));
    }
    Ok(CallFacts {
        kind,
        agent_id: None,
        task_id: None,
        provider: None,
        model: None,
        tool: None,
        usage: Usage::default(),
        started_at,
        latency_ms: None,
        reported_cost: None,
        error: None,
        source: name("source", source.as_str())?,
    })
}

/// A count of tokens as JSON has it: absent and null are none.
pub(super) fn tokens(field: &'static str, count: Option<i64>) -> Result<Tokens, RefusalReason> {
    Tokens::try_from(count.unwrap_or(0)).map_err(|cause| RefusalReason::Tokens { field, cause })
}

/// A name that prices or ids depend on: it fits, or the record is refused.
pub(super) fn name(field: &'static str, text: &str) -> Result<Name, RefusalReason> {
    Name::new(text).map_err(|cause| RefusalReason::Text { field, cause })
}

/// A name that an option gives, or the format's own.
pub(super) fn default_name(option: Option<Name>, name: &'static str) -> Option<Name> {
    option.or_else(|| Name::new(name).ok())
}

/// The agent that the options name, for records that name none.
pub(super) fn named_agent(format: Format, options: &Options) -> Option<AgentRef> {
    options.agent.as_ref().and_then(|name| AgentRef::new(format, name.as_str(), name.as_str()))
}

/// A name for people: clipped where it is too long, with blanks for control characters and those that cannot be seen;
/// none if nothing is left.
pub(super) fn clipped_name(text: &str) -> Option<Name> {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut line = line;
    loop {
        match Name::new(clip(line.trim(), Name::MAX_BYTES)) {
            Err(TextError::Invisible(found)) => line = line.replace(char::from_u32(found)?, " "),
            named => return named.ok(),
        }
    }
}

/// The longest text of an error that is kept, in bytes.
const MAX_ERROR_BYTES: usize = 1024;

/// What went wrong, clipped; none if the text is blank.
pub(super) fn clipped_error(text: &str) -> Option<Body> {
    let plain: String = text.chars().filter(|&c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    Body::new(clip(&plain, MAX_ERROR_BYTES)).ok()
}

/// The start of a text for a message.
pub(super) fn quoted(text: &str) -> String {
    clip(text, 64).to_owned()
}

pub(super) fn clip(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// A time as RFC 3339 has it.
pub(super) fn rfc3339(field: &'static str, text: &str) -> Result<DateTime<Utc>, RefusalReason> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|_| RefusalReason::Time { field, found: quoted(text) })
}

/// Digits behind the point that a reported cost keeps, as many as a charge has.
const COST_SCALE: u32 = 12;

/// A recorded cost, from its JSON text.
///
/// A string must be a plain decimal. A number is what a program printed from a float, such as
/// `0.009796000000000001` or `9.7e-05`: its digits are read exactly as they stand, then rounded half to even at
/// the twelfth. No float is made on the way.
pub(super) fn reported_cost(field: &'static str, raw: Option<&RawValue>) -> Result<Option<Money>, RefusalReason> {
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

/// A JSON number as the decimal that its digits say.
pub(crate) fn json_decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) { Decimal::from_scientific(text).ok() } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(json: &str) -> Result<Option<String>, String> {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        let cost = reported_cost("cost", Some(&raw));
        cost.map(|cost| cost.map(|cost| cost.to_string())).map_err(|reason| reason.to_string())
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
            ("-1.5", "-1.5"),
            ("0", "0"),
            ("\"0.25\"", "0.25"),
        ] {
            assert_eq!(cost(json), Ok(Some(shown.to_owned())), "{json}");
        }
        assert_eq!(cost("null"), Ok(None));
        assert_eq!(reported_cost("cost", None).unwrap(), None);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for json in ["\"9.7e-05\"", "\"0.1 USD\"", "\"\"", "1e400", "1e-300", "12345678901234567", "{}", "true"] {
            assert!(cost(json).is_err_and(|message| message.contains("is not an amount")), "{json}");
        }
    }

    #[test]
    fn names_for_people_are_clipped_between_characters() {
        let long = "ä".repeat(200);
        assert_eq!(clipped_name(&long).map(|name| name.as_str().len()), Some(256));
        assert_eq!(clipped_name("a\nb\u{7}").map(String::from), Some("a b".to_owned()));
        assert_eq!(clipped_name(" \n "), None);
        assert_eq!(clipped_name("\u{feff}a\u{200b}b\u{202e}").map(String::from), Some("a b".to_owned()));
        assert_eq!(clipped_name("\u{feff}\u{200b}"), None);
        assert_eq!(clipped_error("at\n line\u{0} 3").map(String::from), Some("at\n line 3".to_owned()));
        assert_eq!(clipped_error(&"é".repeat(5_000)).map(|error| error.as_str().len()), Some(MAX_ERROR_BYTES));
    }
}
