//! OpenAI: the answers of `/v1/organization/usage/…` and `/v1/organization/costs`, and the CSV of the dashboard, whose columns have
//! the names of the same fields.

use super::csv::{POINT, Row, day_of};
use super::error::LineRefusalReason;
use super::item::{Found, Stated, name, quantity};
use super::meters::meter;
use super::pages::{self, Bucket};
use crate::error::InputError;
use crate::formats::json::Fields;
use crate::text::{clip, quoted};
use chrono::NaiveDate;
use domain::invoice::Figure;
use domain::{Meter, Name};

/// The field with the kind of an item, and what the kinds of usage begin with.
const OBJECT: &str = "object";
const USAGE: &str = "organization.usage.";
const COSTS: &str = "organization.costs.result";

/// The text of a field.
type Get<'g> = &'g dyn Fn(&str) -> Option<String>;

pub(super) fn bucket(fields: &Fields<'_>) -> Result<Bucket, LineRefusalReason> {
    let start = pages::text(fields, "start_time").ok_or(LineRefusalReason::Missing("start_time"))?;
    let day = day_of(&start).ok_or_else(|| LineRefusalReason::Day(quoted(&start)))?;
    Ok(Bucket { day, of_item })
}

fn of_item(fields: &Fields<'_>, found: &mut Found) -> pages::Read {
    let amount = fields.object("amount");
    let get = |name: &str| match name {
        "amount_value" => amount.as_ref().and_then(|amount| pages::text(amount, "value")),
        "amount_currency" => amount.as_ref().and_then(|amount| pages::text(amount, "currency")),
        name => pages::text(fields, name),
    };
    stated(&get, found)
}

/// Checks that CSV has the columns of an export of the dashboard.
pub(super) fn check_header(header: &csv::StringRecord) -> Result<(), InputError> {
    let has = |wanted: &str| header.iter().any(|name| name.trim() == wanted);
    if has("start_time") && (has("amount_value") || has("input_tokens")) {
        return Ok(());
    }
    let expected = "JSON, or a header with start_time, and amount_value or input_tokens,";
    Err(InputError::NotOfFormat { format: "OpenAI", expected })
}

/// A row of the CSV of the dashboard. A day without usage has a row with nothing but its times.
pub(super) fn row(row: &Row<'_>, found: &mut Found) -> Result<(NaiveDate, Vec<Stated>), LineRefusalReason> {
    let get = |name: &str| row.get(name).map(str::to_owned);
    let start = get("start_time_iso").or_else(|| get("start_time")).ok_or(LineRefusalReason::Missing("start_time"))?;
    let day = day_of(&start).ok_or_else(|| LineRefusalReason::Day(quoted(&start)))?;
    Ok((day, stated(&get, found)?))
}

fn stated(get: Get<'_>, found: &mut Found) -> pages::Read {
    let kind = get(OBJECT);
    match kind.as_deref() {
        Some(COSTS) => costs(get, found),
        Some(kind) if kind.starts_with(USAGE) => usage(get, kind),
        Some(kind) => Err(LineRefusalReason::UnknownKind(clip(kind, 64).to_owned())),
        // The rows of the dashboard do not name their kind.
        None if get("amount_value").is_some() => costs(get, found),
        None => usage(get, "organization.usage.completions.result"),
    }
}

/// What tells items apart that are of the same day, model and tier.
fn reference(get: Get<'_>) -> Result<Option<Name>, LineRefusalReason> {
    let ids: Vec<_> = ["project_id", "user_id", "api_key_id"].into_iter().filter_map(get).collect();
    name("reference", Some(clip(&ids.join(" "), Name::MAX_BYTES)))
}

/// A cost: its line item names the model and, behind a comma, the meter.
fn costs(get: Get<'_>, found: &mut Found) -> pages::Read {
    let amount = get("amount_value").ok_or(LineRefusalReason::Missing("amount"))?;
    let currency = get("amount_currency").unwrap_or_default();
    if !currency.is_empty() && !currency.eq_ignore_ascii_case("usd") {
        return Err(LineRefusalReason::Currency(clip(&currency, 64).to_owned()));
    }
    let item = get("line_item");
    let split = item.as_deref().and_then(|item| item.rsplit_once(", "));
    let (model, meter) = match split.and_then(|(model, kind)| Some((model, meter(kind)?))) {
        Some((model, meter)) => (Some(model), Some(meter)),
        None => (item.as_deref(), None),
    };
    // The unit of a quantity is not documented: it is read where it is named.
    let is_of_tokens = get("quantity_unit").is_some_and(|unit| matches!(unit.as_str(), "token" | "tokens"));
    let stated_quantity = get("quantity").filter(|_| is_of_tokens && meter.is_some());
    Ok(vec![Stated {
        model: name("line_item", model)?,
        meter,
        quantity: stated_quantity.map(|text| quantity("quantity", &text, POINT, 1)).transpose()?,
        amount: Some(found.amount("amount", &amount, POINT)?),
        tier: None,
        reference: reference(get)?,
    }])
}

/// The fields of usage that are one meter each, by the kind of usage.
fn single(kind: &str) -> Option<&'static [(&'static str, Meter, u64)]> {
    Some(match kind.strip_prefix(USAGE)?.strip_suffix(".result")? {
        "embeddings" | "moderations" => &[("input_tokens", Meter::Input, 1)],
        "images" => &[("images", Meter::Images, 1)],
        "audio_speeches" => &[("characters", Meter::Characters, 1)],
        "audio_transcriptions" => &[("seconds", Meter::MediaMs, 1_000)],
        _ => return None,
    })
}

fn usage(get: Get<'_>, kind: &str) -> pages::Read {
    let of_batch = get("batch").is_some_and(|batch| batch.eq_ignore_ascii_case("true"));
    let tier = get("service_tier").filter(|tier| !matches!(tier.as_str(), "default" | "standard" | "auto"));
    let tier = if of_batch { Some("batch".to_owned()) } else { tier };
    let common = Stated {
        model: name("model", get("model").as_deref())?,
        tier: name("service_tier", tier.as_deref())?,
        reference: reference(get)?,
        ..Stated::default()
    };
    let of = |meter, quantity| Stated { meter: Some(meter), quantity: Some(quantity), ..common.clone() };
    let count =
        |field: &'static str, units| get(field).map_or(Ok(Figure::ZERO), |text| quantity(field, &text, POINT, units));
    if let Some(fields) = single(kind) {
        return fields.iter().map(|(field, meter, units)| Ok(of(*meter, count(field, *units)?))).collect();
    }
    if kind != "organization.usage.completions.result" {
        return Err(LineRefusalReason::UnknownKind(clip(kind, 64).to_owned()));
    }
    let (cached, written) = (count("input_cached_tokens", 1)?, count("input_cache_write_tokens", 1)?);
    let (audio, image) = (count("input_audio_tokens", 1)?, count("input_image_tokens", 1)?);
    let (audio_output, image_output) = (count("output_audio_tokens", 1)?, count("output_image_tokens", 1)?);
    // The input has what was cached, and audio and images that were not, inside; the output what is not text.
    let input = rest(get, "input_tokens", cached + written + audio + image)?;
    let output = rest(get, "output_tokens", audio_output + image_output)?;
    Ok(vec![
        of(Meter::Input, input),
        of(Meter::CacheRead, cached),
        of(Meter::CacheWrite5Min, written),
        of(Meter::Output, output),
        of(Meter::AudioInput, audio),
        of(Meter::ImageInput, image),
        of(Meter::AudioOutput, audio_output),
        of(Meter::ImageOutput, image_output),
    ])
}

/// A quantity without its parts.
fn rest(get: Get<'_>, whole: &'static str, parts: Figure) -> Result<Figure, LineRefusalReason> {
    let text = get(whole).unwrap_or_else(|| "0".to_owned());
    let all = quantity(whole, &text, POINT, 1)?;
    if all < parts { Err(LineRefusalReason::Parts { whole, found: all.to_string() }) } else { Ok(all - parts) }
}
