//! Anthropic: the answers of `/v1/organizations/usage_report/messages` and `/v1/organizations/cost_report`.

use super::csv::{POINT, day_of};
use super::error::LineRefusalReason;
use super::item::{Found, Stated, name, quantity};
use super::meters::meter;
use super::pages::{self, Bucket, text};
use crate::formats::json::Fields;
use crate::text::{clip, quoted};
use domain::invoice::Figure;
use domain::{Meter, Name};

pub(super) fn bucket(fields: &Fields<'_>) -> Result<Bucket, LineRefusalReason> {
    let start = text(fields, "starting_at").ok_or(LineRefusalReason::Missing("starting_at"))?;
    let day = day_of(&start).ok_or_else(|| LineRefusalReason::Day(quoted(&start)))?;
    Ok(Bucket { day, of_item })
}

fn of_item(fields: &Fields<'_>, found: &mut Found) -> pages::Read {
    if fields.raw("amount").is_some() { cost(fields, found) } else { usage(fields) }
}

/// The tier, and the context window if it is a long one.
fn tier(fields: &Fields<'_>) -> Result<Option<Name>, LineRefusalReason> {
    let tier = text(fields, "service_tier").filter(|tier| tier != "standard");
    let window = text(fields, "context_window").filter(|window| window != "0-200k");
    let speed = text(fields, "speed").filter(|speed| speed != "standard");
    let all: Vec<_> = [tier, window, speed].into_iter().flatten().collect();
    name("service_tier", Some(clip(&all.join(", "), Name::MAX_BYTES)))
}

/// What tells items apart that are of the same day, model and tier.
fn reference(fields: &Fields<'_>) -> Result<Option<Name>, LineRefusalReason> {
    let ids = ["workspace_id", "api_key_id", "account_id", "service_account_id", "inference_geo"];
    let ids: Vec<_> = ids.into_iter().filter_map(|id| text(fields, id)).collect();
    name("workspace_id", Some(clip(&ids.join(" "), Name::MAX_BYTES)))
}

/// A cost, in cents.
fn cost(fields: &Fields<'_>, found: &mut Found) -> pages::Read {
    let amount = text(fields, "amount").ok_or(LineRefusalReason::Missing("amount"))?;
    let currency = text(fields, "currency").unwrap_or_default();
    if !currency.is_empty() && !currency.eq_ignore_ascii_case("usd") {
        return Err(LineRefusalReason::Currency(clip(&currency, 64).to_owned()));
    }
    // In dollars: an exponent moves the point without a division.
    let dollars = format!("{}e-2", amount.trim());
    let amount = found.amount("amount", &dollars, POINT)?;
    let (kind, described) = (text(fields, "cost_type"), text(fields, "description"));
    let model = text(fields, "model");
    let (model, meter) = match kind.as_deref() {
        Some("tokens") => {
            let token_type = text(fields, "token_type").ok_or(LineRefusalReason::Missing("token_type"))?;
            let meter = meter(&token_type).ok_or_else(|| LineRefusalReason::UnknownKind(quoted(&token_type)))?;
            (model, Some(meter))
        }
        Some("web_search") => (model, Some(Meter::Searches)),
        // What is not of a model is compared under its description.
        Some(kind) => (model.or(described).or_else(|| Some(kind.to_owned())), None),
        None => (model, None),
    };
    let (tier, reference) = (tier(fields)?, reference(fields)?);
    Ok(vec![Stated {
        model: name("model", model.as_deref())?,
        meter,
        quantity: None,
        amount: Some(amount),
        tier,
        reference,
    }])
}

fn usage(fields: &Fields<'_>) -> pages::Read {
    let common = Stated {
        model: name("model", text(fields, "model").as_deref())?,
        tier: tier(fields)?,
        reference: reference(fields)?,
        ..Stated::default()
    };
    let (written, tools) = (fields.object("cache_creation"), fields.object("server_tool_use"));
    let count = |of: Option<&Fields<'_>>, field: &'static str| {
        let stated = of.and_then(|fields| text(fields, field));
        stated.map_or(Ok(Figure::ZERO), |text| quantity(field, &text, POINT, 1))
    };
    let of = |meter, quantity| Stated { meter: Some(meter), quantity: Some(quantity), ..common.clone() };
    Ok(vec![
        of(Meter::Input, count(Some(fields), "uncached_input_tokens")?),
        of(Meter::CacheRead, count(Some(fields), "cache_read_input_tokens")?),
        of(Meter::CacheWrite5Min, count(written.as_ref(), "ephemeral_5m_input_tokens")?),
        of(Meter::CacheWrite1Hour, count(written.as_ref(), "ephemeral_1h_input_tokens")?),
        of(Meter::Output, count(Some(fields), "output_tokens")?),
        of(Meter::Searches, count(tools.as_ref(), "web_search_requests")?),
    ])
}
