//! The price of one entry of a table.

use super::fields::{
    Fields, INPUT, OUTPUT, RATE_SCALE, above, component, decimal, is_zero, multipliers, parse, reason_not_read, text,
};
use super::skip::SkipReason;
use crate::prices::makers::is_maker;
use crate::prices::rules::both;
use chrono::{DateTime, Utc};
use domain::price_book::{Conditions, MAX_COMPONENTS, Minute, Price, PriceComponent, TimeWindow, rate};
use domain::{Meter, Name, Unit};
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// The maximum size of a model's entry, in bytes: 64 KiB. Its fields take many times that in memory.
pub(super) const MAX_ENTRY_BYTES: usize = 64 * 1024;

/// Meters of tokens, each with one that counts the same in another way.
const ALTERNATIVES: [(Meter, Meter); 3] =
    [(Meter::Input, Meter::Characters), (Meter::Input, Meter::MediaMs), (Meter::ImageOutput, Meter::Images)];

const TIERED: &str = "tiered_pricing";
const OFF_PEAK: &str = "off_peak_pricing";
const SEARCH: &str = "search_context_cost_per_query";

/// The price of an entry.
pub(super) struct Entry {
    pub(super) price: Price,
    /// The fields that were not read, with the reason.
    pub(super) not_read: BTreeMap<String, &'static str>,
}

/// Reads the entry of a model.
pub(super) fn read(key: &str, entry: &RawValue, effective_from: DateTime<Utc>) -> Result<Entry, SkipReason> {
    if entry.get().len() > MAX_ENTRY_BYTES {
        return Err(SkipReason::TooLong { limit_bytes: MAX_ENTRY_BYTES });
    }
    let fields: Fields = serde_json::from_str(entry.get()).map_err(|_| SkipReason::NotAnObject)?;
    let listed = text(&fields, "litellm_provider").ok_or(SkipReason::NoProvider)?;
    let provider = provider(&listed);
    let prefix = |name: &str| key.strip_prefix(name)?.strip_prefix('/');
    let model = prefix(provider).or_else(|| prefix(&listed)).unwrap_or(key);
    let mut costs = Costs::default();
    costs.add_all(&fields, &Conditions::default())?;
    costs.remove_alternatives();
    costs.multiply(&fields);
    costs.check(text(&fields, "mode").as_deref())?;
    let provider_name = Name::new(provider).map_err(SkipReason::Name)?;
    let model = Name::new(model).map_err(SkipReason::Name)?;
    let components = costs.components.into_values().map(|(_, component)| component).collect();
    let price =
        Price { list_price: is_maker(provider), effective_from, ..Price::new(provider_name, model, components) };
    price.check().map_err(SkipReason::Price)?;
    Ok(Entry { price, not_read: costs.not_read })
}

/// The common name of a provider. LiteLLM's name also says which of its APIs is called.
fn provider(listed: &str) -> &str {
    match listed {
        "text-completion-openai" => "openai",
        "text-completion-codestral" => "codestral",
        "azure_text" => "azure",
        "bedrock_converse" => "bedrock",
        "cohere_chat" => "cohere",
        _ if listed.starts_with("vertex_ai-") => "vertex_ai",
        _ => listed.strip_suffix("-embedding-models").unwrap_or(listed),
    }
}

/// The costs of an entry.
#[derive(Default)]
struct Costs {
    /// Each with the field that it was read from.
    components: BTreeMap<(Meter, Conditions), (String, PriceComponent)>,
    not_read: BTreeMap<String, &'static str>,
}

impl Costs {
    /// Adds the costs among some fields, under conditions beside those in the names of the fields.
    fn add_all(&mut self, fields: &Fields, when: &Conditions) -> Result<(), SkipReason> {
        for (field, value) in fields {
            if let Some((meter, own)) = parse(field) {
                let context = own.context.or(when.context);
                let service_tier = own.service_tier.or_else(|| when.service_tier.clone());
                let when = Conditions { context, service_tier, ..when.clone() };
                self.add(field, component(field, value, meter, when)?);
                continue;
            }
            let (is_read, reason) = match field.as_str() {
                TIERED => (self.add_tiers(value)?, "its ranges are not those of the size of the prompt"),
                OFF_PEAK => (self.add_off_peak(value)?, "a window of time cannot have its form or its time zone"),
                SEARCH => (self.add_searches(value)?, "the size of the context of a search is no condition"),
                field => match reason_not_read(field, value) {
                    Some(reason) => (!multipliers(field, value).is_empty(), reason),
                    None => (true, ""),
                },
            };
            if !is_read && !is_zero(value) {
                self.not_read.insert(field.clone(), reason);
            }
        }
        Ok(())
    }

    /// Adds a component. Of two that differ in the rate alone the first that is not 0 is kept.
    fn add(&mut self, field: &str, component: Option<PriceComponent>) {
        let Some(component) = component else { return };
        let key = (component.meter, component.when.clone());
        let (first_field, first) = self.components.entry(key).or_insert_with(|| (field.to_owned(), component.clone()));
        if first.rate.is_zero() {
            (*first_field, *first) = (field.to_owned(), component);
        } else if first.rate != component.rate && !component.rate.is_zero() {
            self.not_read.insert(field.to_owned(), "another field, which is read, has another rate of the same meter");
        }
    }

    /// Adds the rates of tokens for regions and speeds that multiply them, if the price can have so many.
    fn multiply(&mut self, fields: &Fields) {
        let given: Vec<_> = fields
            .iter()
            .map(|(field, value)| (field, multipliers(field, value)))
            .filter(|(_, all)| !all.is_empty())
            .collect();
        let mut factors: Vec<(Conditions, rust_decimal::Decimal)> = Vec::new();
        for (when, factor) in given.iter().flat_map(|(_, all)| all) {
            // Those of a region and a speed apply together.
            let with_others =
                factors.iter().filter_map(|(other, by)| Some((both(other, when)?, by.checked_mul(*factor)?)));
            let more: Vec<_> = with_others.collect();
            factors.push((when.clone(), *factor));
            factors.extend(more);
        }
        let of_tokens: Vec<_> =
            self.components.values().filter(|(_, one)| one.meter.unit() == Unit::Token).cloned().collect();
        let multiplied = |(when, factor): &(Conditions, rust_decimal::Decimal)| {
            of_tokens
                .iter()
                .map(|(field, component)| {
                    let dollars = component.rate.as_money().as_decimal().checked_mul(*factor)?;
                    let rate = rate(dollars.round_dp(RATE_SCALE)).ok()?;
                    Some((
                        field.clone(),
                        PriceComponent { rate, when: both(&component.when, when)?, ..component.clone() },
                    ))
                })
                .collect::<Option<Vec<_>>>()
        };
        let all: Option<Vec<_>> = factors.iter().map(multiplied).collect();
        let all: Vec<_> = all.unwrap_or_default().into_iter().flatten().collect();
        if all.is_empty() || self.components.len() + all.len() > MAX_COMPONENTS {
            let reason = "its rates would be more components than a price can have";
            self.not_read.extend(given.iter().map(|(field, _)| ((*field).clone(), reason)));
            return;
        }
        for (field, component) in all {
            self.components.entry((component.meter, component.when.clone())).or_insert((field, component));
        }
    }

    /// Removes the costs of what is billed by token as well: a call would be charged for it twice.
    fn remove_alternatives(&mut self) {
        for (by_token, other) in ALTERNATIVES {
            if self.has(by_token) {
                let Self { components, not_read } = self;
                components.retain(|(meter, _), (field, component)| {
                    let is_kept = *meter != other;
                    if !is_kept && !component.rate.is_zero() {
                        not_read.insert(field.clone(), "the model is billed by token as well");
                    }
                    is_kept
                });
            }
        }
    }

    fn has(&self, meter: Meter) -> bool {
        self.components.keys().any(|(billed, _)| *billed == meter)
    }

    /// Adds costs by the size of the prompt, such as `[{"range": [0, 32000], …}, {"range": [32000, 128000], …}]`.
    /// Returns whether the list has this form.
    fn add_tiers(&mut self, value: &RawValue) -> Result<bool, SkipReason> {
        let Ok(tiers) = serde_json::from_str::<Vec<Fields>>(value.get()) else { return Ok(false) };
        for mut fields in tiers {
            let range = fields.remove("range");
            let bounds = range.and_then(|range| serde_json::from_str::<Vec<Box<RawValue>>>(range.get()).ok());
            let from = bounds.and_then(|bounds| decimal(bounds.first()?)?.to_u64());
            let Some(from) = from else { return Ok(false) };
            self.add_all(&fields, &Conditions { context: above(from), ..Conditions::default() })?;
        }
        Ok(true)
    }

    /// Adds costs by the time of the call. Returns whether all windows of time were understood.
    fn add_off_peak(&mut self, value: &RawValue) -> Result<bool, SkipReason> {
        let Ok(mut fields) = serde_json::from_str::<Fields>(value.get()) else { return Ok(false) };
        let Some(windows) = fields.remove("windows").and_then(|windows| time_windows(&windows)) else {
            return Ok(false);
        };
        // A key that is no cost, such as a time zone of the days, would change the windows.
        if !fields.keys().all(|field| parse(field).is_some()) {
            return Ok(false);
        }
        for time in windows {
            self.add_all(&fields, &Conditions { time: Some(time), ..Conditions::default() })?;
        }
        Ok(true)
    }

    /// Adds the cost of a search, if it is the same for every size of what was found. Returns whether it is.
    fn add_searches(&mut self, value: &RawValue) -> Result<bool, SkipReason> {
        let Ok(sizes) = serde_json::from_str::<Fields>(value.get()) else { return Ok(false) };
        let mut components = Vec::new();
        for size in sizes.values() {
            components.extend(component(SEARCH, size, Meter::Searches, Conditions::default())?);
        }
        components.dedup();
        match <[PriceComponent; 1]>::try_from(components) {
            Ok([component]) => {
                self.add(SEARCH, Some(component));
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    /// Checks that the costs are enough to charge a call.
    fn check(&self, mode: Option<&str>) -> Result<(), SkipReason> {
        let found = self.not_read.keys().next().cloned();
        if self.components.is_empty() {
            return Err(SkipReason::NoCost { found });
        }
        let is_by_token = matches!(mode, Some("chat" | "completion" | "responses"));
        let (has_input, has_output) = (self.has(Meter::Input), self.has(Meter::Output));
        if !has_input && (has_output || is_by_token) {
            return Err(SkipReason::NoRate(INPUT));
        }
        if !has_output && (is_by_token || has_input && mode != Some("embedding")) {
            return Err(SkipReason::NoRate(OUTPUT));
        }
        match found {
            Some(field) if self.components.values().all(|(_, component)| component.rate.is_zero()) => {
                Err(SkipReason::BilledOtherwise(field))
            }
            _ => Ok(()),
        }
    }
}

/// Windows of time such as `[{"hours_utc": ["16:30-00:30"], "weekdays": [1, 2, 3, 4, 5]}]`; none if any is of another
/// form.
fn time_windows(value: &RawValue) -> Option<Vec<TimeWindow>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Hours {
        One(String),
        Several(Vec<String>),
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Window {
        hours_utc: Hours,
        #[serde(default)]
        weekdays: BTreeSet<u8>,
    }

    let minute = |text: &str| Minute::try_from(text.trim().to_owned()).ok();
    let mut windows = Vec::new();
    for Window { hours_utc, weekdays } in serde_json::from_str::<Vec<Window>>(value.get()).ok()? {
        let hours = match hours_utc {
            Hours::One(hours) => vec![hours],
            Hours::Several(hours) => hours,
        };
        for hours in hours {
            let (from, to) = hours.split_once('-')?;
            let (from, to) = (minute(from)?, minute(to)?);
            windows.push(TimeWindow { from, to, utc_offset_minutes: 0, weekdays: weekdays.clone() });
        }
    }
    Some(windows)
}
