//! The prices of a model in genai-prices' table, from its list of prices and variants.

use super::super::rules::{Rule, compile};
use crate::prices::litellm::{RATE_SCALE, decimal};
use chrono::NaiveDate;
use domain::price_book::{Conditions, ContextSize, MILLION, Minute, PriceComponent, Rate, TimeWindow, rate};
use domain::{Meter, Name};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

const THOUSAND: NonZeroU64 = NonZeroU64::MIN.saturating_add(999);
const HOUR_MS: NonZeroU64 = NonZeroU64::MIN.saturating_add(3_599_999);

/// The keys of prices, with their meters and units. Of two keys of one meter the first that a price has is read.
const KEYS: &[(&str, Meter, NonZeroU64)] = &[
    ("input_mtok", Meter::Input, MILLION),
    ("input_text_mtok", Meter::Input, MILLION),
    ("output_mtok", Meter::Output, MILLION),
    ("output_text_mtok", Meter::Output, MILLION),
    ("cache_read_mtok", Meter::CacheRead, MILLION),
    ("cache_write_5m_mtok", Meter::CacheWrite5Min, MILLION),
    ("cache_write_mtok", Meter::CacheWrite5Min, MILLION),
    ("cache_write_1h_mtok", Meter::CacheWrite1Hour, MILLION),
    ("output_reasoning_mtok", Meter::Reasoning, MILLION),
    ("input_audio_mtok", Meter::AudioInput, MILLION),
    ("output_audio_mtok", Meter::AudioOutput, MILLION),
    ("input_image_mtok", Meter::ImageInput, MILLION),
    ("output_image_mtok", Meter::ImageOutput, MILLION),
    ("web_searches_kcount", Meter::Searches, THOUSAND),
    ("requests_kcount", Meter::Requests, THOUSAND),
    ("input_mchars", Meter::Characters, MILLION),
    ("audio_hours", Meter::MediaMs, HOUR_MS),
    ("input_audio_hours", Meter::MediaMs, HOUR_MS),
];

/// Why a key of a price is not read.
pub(super) fn unread_key(key: &str) -> &'static str {
    match key {
        key if key.starts_with("cache_") => "no meter counts cached tokens by what they hold",
        key if key.contains("video") => "no meter counts tokens of video",
        key if key.contains("pages") => "no meter counts pages",
        key if key.contains("_searches_") => "no meter counts searches other than those of the web",
        key if key.contains("citation") => "no meter counts tokens of citations",
        _ => "no meter counts it",
    }
}

type Fields = BTreeMap<String, Box<RawValue>>;

/// Conditions of a price in time.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Constraint {
    start_date: Option<NaiveDate>,
    start_time: Option<String>,
    end_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conditional {
    constraint: Option<Constraint>,
    prices: Fields,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    when: BTreeMap<String, String>,
    constraint: Option<Constraint>,
    prices: Fields,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tiered {
    base: Box<RawValue>,
    tiers: Vec<Tier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    start: u64,
    price: Box<RawValue>,
}

/// The rates of a meter by the size of the prompt, the largest size first; the last one is that of any size.
type Rates = Vec<(Option<u64>, Rate)>;

/// The rates of one price by meter.
type Prices = BTreeMap<Meter, (NonZeroU64, Rates)>;

/// A price in effect from a date, under conditions.
struct Dated {
    from: Option<NaiveDate>,
    when: Conditions,
    prices: Prices,
}

/// All prices of a model.
#[derive(Default)]
pub(super) struct ModelPrices {
    /// In the order of the table: the last one that is in effect applies.
    standard: Vec<Dated>,
    /// In the order of the table: the first one that applies decides, for each meter.
    variants: Vec<Dated>,
    /// Fields that were not read, with the reason.
    pub(super) not_read: BTreeSet<(String, String)>,
}

/// The components of a model from a date on.
#[derive(Debug, PartialEq)]
pub(super) struct Period {
    /// The day from which they apply; none for all time before the next period.
    pub(super) from: Option<NaiveDate>,
    pub(super) components: Vec<PriceComponent>,
}

impl ModelPrices {
    pub(super) fn add_standard(&mut self, conditional: Conditional) -> Result<(), String> {
        let Conditional { constraint, prices } = conditional;
        let (from, time) = constraint.map(dated).transpose()?.unwrap_or_default();
        let prices = self.prices("prices", prices)?;
        self.standard.push(Dated { from, when: Conditions { time, ..Conditions::default() }, prices });
        Ok(())
    }

    pub(super) fn add_variant(&mut self, variant: Variant) -> Result<(), String> {
        let Variant { when, constraint, prices } = variant;
        let (from, time) = constraint.map(dated).transpose()?.unwrap_or_default();
        let named: Vec<_> = when.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let field = format!("price_variants {}", named.join(" "));
        let Some(when) = conditions(&when) else {
            let reason = "no condition of a price says what this one does".to_owned();
            self.not_read.insert((field, reason));
            return Ok(());
        };
        let prices = self.prices(&field, prices)?;
        self.variants.push(Dated { from, when: Conditions { time, ..when }, prices });
        Ok(())
    }

    fn prices(&mut self, field: &str, mut fields: Fields) -> Result<Prices, String> {
        fields.retain(|_, value| value.get() != "null");
        let mut prices = Prices::new();
        for (key, meter, per) in KEYS {
            let Some(value) = fields.remove(*key) else { continue };
            let rates = rates(key, &value)?;
            match prices.get(meter) {
                None => _ = prices.insert(*meter, (*per, rates)),
                Some(first) if *first == (*per, rates) => {}
                Some(_) => {
                    let reason = format!("{meter} has another rate, which is read");
                    self.not_read.insert((format!("{field}.{key}"), reason));
                }
            }
        }
        let unread = fields.into_keys().map(|key| (format!("{field}.{key}"), unread_key(&key).to_owned()));
        self.not_read.extend(unread);
        Ok(prices)
    }

    /// The periods of the prices, the first one first.
    pub(super) fn periods(&mut self, with_variants: bool) -> Result<Vec<Period>, String> {
        let variants = if with_variants { self.variants.as_slice() } else { &[] };
        let starts: BTreeSet<Option<NaiveDate>> =
            [None].into_iter().chain(self.standard.iter().chain(variants).map(|dated| dated.from)).collect();
        let mut periods: Vec<Period> = Vec::new();
        for from in starts {
            let is_active = |dated: &&Dated| dated.from <= from;
            let variants: Vec<_> = variants.iter().filter(is_active).collect();
            let mut standard = Vec::new();
            for dated in self.standard.iter().rev().filter(is_active) {
                standard.push(dated);
                if dated.when.time.is_none() {
                    break;
                }
            }
            // Before the first date, the first price of the table applies.
            if !standard.iter().any(|dated| dated.when.time.is_none()) {
                standard.extend(self.standard.first());
            }
            let components = components(&variants, &standard)?;
            if periods.last().is_none_or(|last| last.components != components) {
                periods.push(Period { from, components });
            }
        }
        Ok(periods)
    }
}

/// The components for variants and prices, each in the order of precedence.
fn components(variants: &[&Dated], standard: &[&Dated]) -> Result<Vec<PriceComponent>, String> {
    let meters: BTreeSet<Meter> =
        variants.iter().chain(standard).flat_map(|dated| dated.prices.keys().copied()).collect();
    let mut components = Vec::new();
    for meter in meters {
        let mut rules = Vec::new();
        let mut per = MILLION;
        // A variant replaces single rates, a standard price all of them: without one of its own, a meter is billed as
        // another one.
        let of_variants = variants.iter().filter_map(|dated| Some((*dated, dated.prices.get(&meter)?)));
        let of_standard = standard.iter().filter_map(|dated| {
            let chain = std::iter::successors(Some(meter), |meter| meter.billed_as());
            let is_base = dated.when.time.is_none();
            let mut chain = chain.take(if is_base { 1 } else { Meter::COUNT });
            Some((*dated, chain.find_map(|meter| dated.prices.get(&meter))?))
        });
        for (dated, (units, rates)) in of_variants.chain(of_standard) {
            per = *units;
            rules.extend(rates.iter().map(|(above, rate)| {
                let context = above.map(|above| ContextSize { above, graduated: false });
                Rule { when: Conditions { context, ..dated.when.clone() }, rate: *rate }
            }));
        }
        let compiled = compile(meter, per, &rules);
        components.extend(compiled.ok_or_else(|| format!("{meter} has more conditions than a price can have"))?);
    }
    Ok(components)
}

fn rates(key: &str, value: &RawValue) -> Result<Rates, String> {
    let one = |value: &RawValue| {
        let number: Option<Decimal> = decimal(value);
        let number = number.ok_or_else(|| format!("{key} is {}, which is not a number", clipped(value)))?;
        rate(number.round_dp(RATE_SCALE)).map_err(|error| format!("{key}: {error}"))
    };
    match serde_json::from_str::<Tiered>(value.get()) {
        Ok(Tiered { base, mut tiers }) => {
            tiers.sort_by_key(|tier| std::cmp::Reverse(tier.start));
            let tier = |tier: &Tier| Ok((Some(tier.start), one(&tier.price)?));
            let mut rates = tiers.iter().map(tier).collect::<Result<Rates, String>>()?;
            rates.push((None, one(&base)?));
            Ok(rates)
        }
        Err(_) => Ok(vec![(None, one(value)?)]),
    }
}

fn clipped(value: &RawValue) -> String {
    value.get().chars().take(64).collect()
}

/// The first day and the window of time of a constraint.
fn dated(constraint: Constraint) -> Result<(Option<NaiveDate>, Option<TimeWindow>), String> {
    let Constraint { start_date, start_time, end_time } = constraint;
    let time = match (start_time, end_time) {
        (Some(from), Some(to)) => {
            Some(window(&from, &to).ok_or_else(|| format!("{from} to {to} is no window of UTC"))?)
        }
        (None, None) => None,
        _ => return Err("a time without its other end".to_owned()),
    };
    if start_date.is_some() && time.is_some() {
        return Err("a constraint with both a date and a time".to_owned());
    }
    Ok((start_date, time))
}

/// A window such as `00:30:00Z` to `16:30:00Z`.
fn window(from: &str, to: &str) -> Option<TimeWindow> {
    let minute = |text: &str| {
        let utc = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00")).unwrap_or(text);
        let minutes = utc.strip_suffix(":00").filter(|rest| rest.len() == 5).unwrap_or(utc);
        Minute::try_from(minutes.to_owned()).ok()
    };
    let (from, to) = (minute(from)?, minute(to)?);
    Some(TimeWindow { from, to, utc_offset_minutes: 0, weekdays: BTreeSet::new() })
}

/// The conditions of a variant; none if a price cannot have them. A batch is a service tier of its own.
fn conditions(when: &BTreeMap<String, String>) -> Option<Conditions> {
    let mut conditions = Conditions::default();
    for (key, value) in when {
        let name = Name::new(value.as_str()).ok()?;
        let condition = match key.as_str() {
            "processing" if value == "batch" => &mut conditions.service_tier,
            "service_tier" => &mut conditions.service_tier,
            "speed" => &mut conditions.speed,
            _ => return None,
        };
        if condition.replace(name).is_some() {
            return None;
        }
    }
    Some(conditions)
}
