//! The columns of FOCUS.

use super::group::{Applied, Attributes, Key, Sums};
use super::version::FocusVersion;
use crate::export::decimal::{FINE_SCALE, MONEY_SCALE, quotient, scaled};
use crate::export::error::ExportError;
use crate::export::table::{Column, Kind, Value};
use bytes::Bytes;
use chrono::{DateTime, Datelike as _, Months, NaiveTime, SecondsFormat, TimeDelta, Utc};
use domain::{Meter, Unit};
use serde_json::{Map, json};

/// A hundred percent, in millionths.
const WHOLE: i128 = 1_000_000;
/// The name of a provider that is not known.
const UNKNOWN: &str = "unknown";

/// The currency of all amounts.
const CURRENCY: &str = "USD";

const MONEY: Kind = Kind::Decimal(MONEY_SCALE);
const FINE: Kind = Kind::Decimal(FINE_SCALE);

/// The column with the provider whose price was applied, and its name in version 1.2.
const SERVICE_PROVIDER: &str = "ServiceProviderName";
const SERVICE_PROVIDER_1_2: &str = "ProviderName";
/// The column with the provider that served, and the column of version 1.2 in its place, which has who publishes the model.
const HOST_PROVIDER: &str = "HostProviderName";
const HOST_PROVIDER_1_2: &str = "PublisherName";

/// The columns of version 1.4. The order is that of [`fill`].
const COLUMNS: [(&str, Kind); 54] = [
    ("BilledCost", MONEY),
    ("BillingAccountId", Kind::Text),
    ("BillingAccountName", Kind::Text),
    ("BillingAccountType", Kind::Text),
    ("BillingCurrency", Kind::Text),
    ("BillingPeriodEnd", Kind::Time),
    ("BillingPeriodStart", Kind::Time),
    ("ChargeCategory", Kind::Text),
    ("ChargeClass", Kind::Text),
    ("ChargeDescription", Kind::Text),
    ("ChargeFrequency", Kind::Text),
    ("ChargePeriodEnd", Kind::Time),
    ("ChargePeriodStart", Kind::Time),
    ("CommitmentDiscountStatus", Kind::Text),
    ("ConsumedQuantity", FINE),
    ("ConsumedUnit", Kind::Text),
    ("ContractedCost", MONEY),
    ("ContractedUnitPrice", FINE),
    ("EffectiveCost", MONEY),
    (HOST_PROVIDER, Kind::Text),
    ("InvoiceId", Kind::Text),
    ("InvoiceIssuerName", Kind::Text),
    ("ListCost", MONEY),
    ("ListUnitPrice", FINE),
    ("PricingCategory", Kind::Text),
    ("PricingCurrency", Kind::Text),
    ("PricingCurrencyContractedUnitPrice", FINE),
    ("PricingCurrencyEffectiveCost", MONEY),
    ("PricingCurrencyListUnitPrice", FINE),
    ("PricingQuantity", FINE),
    ("PricingUnit", Kind::Text),
    ("RegionId", Kind::Text),
    ("RegionName", Kind::Text),
    ("ResourceId", Kind::Text),
    ("ResourceName", Kind::Text),
    ("ResourceType", Kind::Text),
    ("ServiceCategory", Kind::Text),
    ("ServiceName", Kind::Text),
    (SERVICE_PROVIDER, Kind::Text),
    ("ServiceSubcategory", Kind::Text),
    ("SkuId", Kind::Text),
    ("SkuMeter", Kind::Text),
    ("SkuPriceDetails", Kind::Text),
    ("SkuPriceId", Kind::Text),
    ("SubAccountId", Kind::Text),
    ("SubAccountName", Kind::Text),
    ("SubAccountType", Kind::Text),
    ("Tags", Kind::Text),
    ("x_ApiKey", Kind::Text),
    ("x_Calls", Kind::Integer),
    ("x_Model", Kind::Text),
    ("x_ServiceTier", Kind::Text),
    ("x_Speed", Kind::Text),
    ("x_User", Kind::Text),
];

/// The columns of a version.
pub(super) fn of(version: FocusVersion) -> Vec<Column> {
    let name = |name: &'static str| match (version, name) {
        (FocusVersion::V1_2, SERVICE_PROVIDER) => SERVICE_PROVIDER_1_2,
        (FocusVersion::V1_2, HOST_PROVIDER) => HOST_PROVIDER_1_2,
        _ => name,
    };
    COLUMNS.into_iter().map(|(of_1_4, kind)| Column::new(name(of_1_4), kind).with_point()).collect()
}

fn time(at: DateTime<Utc>) -> Value {
    Value::Time(at.timestamp_micros())
}

fn text(text: Option<&Bytes>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.clone()))
}

/// The month of a day, which is its billing period.
fn month(day: DateTime<Utc>) -> Option<[DateTime<Utc>; 2]> {
    let start = day.date_naive().with_day(1)?.and_time(NaiveTime::MIN).and_utc();
    Some([start, start.checked_add_months(Months::new(1))?])
}

/// The units of a meter, as FOCUS writes them.
const fn units(meter: Meter) -> &'static str {
    match meter.unit() {
        Unit::Token => "Tokens",
        Unit::Image => "Images",
        Unit::Request => "Requests",
        Unit::Search => "Searches",
        Unit::Millisecond => "Milliseconds",
        Unit::Character => "Characters",
    }
}

/// The price of a row, and how much of what it is for was used.
struct Pricing {
    consumed: i128,
    quantity: i128,
    unit: String,
    list_price: i128,
    contracted_price: i128,
}

impl Pricing {
    /// None if a number has too many digits.
    fn of(applied: &Applied, sums: &Sums) -> Option<Self> {
        let Applied { meter, rate, per, discount, .. } = applied;
        let list_price = scaled(rate.as_money().as_decimal(), FINE_SCALE)?;
        let charged = WHOLE - discount.map_or(0, |percent| i128::from(percent.millionths()));
        let units = units(*meter);
        Some(Self {
            consumed: quotient(sums.units, 1, FINE_SCALE)?,
            quantity: quotient(sums.units, per.get(), FINE_SCALE)?,
            unit: if per.get() == 1 { units.to_owned() } else { format!("{per} {units}") },
            list_price,
            // A rate has at most 12 decimal places, so that this is exact.
            contracted_price: list_price.checked_mul(charged)? / WHOLE,
        })
    }
}

/// The id of a price, and what it depends on.
fn price_of(attributes: &Attributes, applied: &Applied) -> (String, String, String) {
    let seller = attributes.seller.as_ref().map_or(UNKNOWN, |seller| seller.as_str());
    let model = attributes.priced_model.as_ref().map_or(UNKNOWN, |model| model.as_str());
    let Applied { meter, rate, per, conditions, contract, effective_from, discount } = applied;
    let from = effective_from.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let sku = format!("{seller}/{model}");
    let mut id = format!("{sku}/{meter}/{from}/{rate}/{per}");
    let mut details = Map::new();
    details.insert("x_EffectiveFrom".to_owned(), json!(from));
    if !conditions.is_empty() {
        id.push_str(&format!("/{conditions}"));
        details.insert("x_Conditions".to_owned(), json!(conditions));
    }
    if *contract {
        id.push_str("/contract");
        details.insert("x_Contract".to_owned(), json!(true));
    }
    if let Some(percent) = discount {
        details.insert("x_DiscountPercent".to_owned(), json!(percent.to_string()));
    }
    (sku, id, serde_json::Value::Object(details).to_string())
}

/// Replaces the values of a row.
pub(super) fn fill(
    row: &mut Vec<Value>,
    (version, tenant): (FocusVersion, &Bytes),
    day: DateTime<Utc>,
    (key, sums): (&Key, &Sums),
) -> Result<(), ExportError> {
    let Key { attributes, component } = key;
    let applied = component.0.as_ref();
    let out_of_range = || ExportError::OutOfRange { column: "PricingQuantity" };
    let pricing = applied.map(|applied| Pricing::of(applied, sums).ok_or_else(out_of_range)).transpose()?;
    let [month_start, month_end] = month(day).ok_or(ExportError::OutOfRange { column: "BillingPeriodEnd" })?;
    row.clear();
    row.extend([
        Value::Decimal(sums.cost),
        tenant.clone().into(),
        tenant.clone().into(),
        "Tenant".into(),
        CURRENCY.into(),
        time(month_end),
        time(month_start),
        "Usage".into(),
        Value::Null,
        Value::text(description(attributes, applied)),
        "Usage-Based".into(),
        time(day + TimeDelta::days(1)),
        time(day),
    ]);
    let seller = Value::text(attributes.seller.as_ref().map_or(UNKNOWN, |seller| seller.as_str()));
    // Both columns must have a value. Of a call that names no provider, it is not known that another one served it.
    let host = match (version, &attributes.host) {
        (FocusVersion::V1_4, Some(host)) => Value::Text(host.clone()),
        (FocusVersion::V1_4, None) | (FocusVersion::V1_2, _) => seller.clone(),
    };
    fill_prices(row, (host, &seller), (applied, pricing.as_ref()), sums);
    fill_attributes(row, attributes, seller);
    fill_sku(row, attributes, applied, sums.calls);
    Ok(())
}

/// The columns from the commitment to the pricing unit.
fn fill_prices(
    row: &mut Vec<Value>,
    (host, seller): (Value, &Value),
    (applied, pricing): (Option<&Applied>, Option<&Pricing>),
    sums: &Sums,
) {
    let decimal = |number: Option<i128>| number.map_or(Value::Null, Value::Decimal);
    let contracted_price = || decimal(pricing.map(|pricing| pricing.contracted_price));
    let list_price = || decimal(pricing.map(|pricing| pricing.list_price));
    row.extend([
        // There are no commitments. Validators look at the column where they look at quantities.
        Value::Null,
        decimal(pricing.map(|pricing| pricing.consumed)),
        applied.map(|applied| units(applied.meter)).into(),
        Value::Decimal(sums.cost),
        contracted_price(),
        Value::Decimal(sums.cost),
        host,
        Value::Null,
        seller.clone(),
        Value::Decimal(sums.list_cost),
        list_price(),
        applied.map(|_| "Standard").into(),
        CURRENCY.into(),
        contracted_price(),
        Value::Decimal(sums.cost),
        list_price(),
        decimal(pricing.map(|pricing| pricing.quantity)),
        pricing.map_or(Value::Null, |pricing| Value::text(pricing.unit.as_str())),
    ]);
}

/// The columns from the SKU on.
fn fill_sku(row: &mut Vec<Value>, attributes: &Attributes, applied: Option<&Applied>, calls: i64) {
    let price = applied.map(|applied| price_of(attributes, applied));
    let (sku, id, details) = price.map_or((Value::Null, Value::Null, Value::Null), |(sku, id, details)| {
        (Value::text(sku), Value::text(id), Value::text(details))
    });
    let team = || text(attributes.team.as_ref());
    row.extend([
        sku,
        applied.map(|applied| applied.meter.column()).into(),
        details,
        id,
        team(),
        team(),
        attributes.team.as_ref().map(|_| "Team").into(),
        text(attributes.tags.as_ref()),
        text(attributes.key.as_ref()),
        Value::Integer(calls),
        text(attributes.model.as_ref()),
        text(attributes.service_tier.as_ref()),
        text(attributes.speed.as_ref()),
        text(attributes.user.as_ref()),
    ]);
}

/// The columns from the region to the subcategory of the service.
fn fill_attributes(row: &mut Vec<Value>, attributes: &Attributes, seller: Value) {
    let region = || text(attributes.region.as_ref());
    row.extend([
        region(),
        region(),
        attributes.agent_id.map_or(Value::Null, |id| Value::text(id.to_string())),
        text(attributes.agent_name.as_ref()),
        attributes.agent_id.map(|_| "Agent").into(),
        "AI and Machine Learning".into(),
        seller.clone(),
        seller,
        "Generative AI".into(),
    ]);
}

/// What was charged, in words, such as `gpt-4o: cache read at 1.25 USD for 1000000 Tokens`.
fn description(attributes: &Attributes, applied: Option<&Applied>) -> String {
    let model = attributes.model.as_deref().map_or(UNKNOWN.into(), String::from_utf8_lossy);
    match applied {
        Some(Applied { meter, rate, per, .. }) => {
            format!("{model}: {} at {rate} USD for {per} {}", meter.name().replace('_', " "), units(*meter))
        }
        None => format!("{model}: a charge whose components are not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_month_of_a_day_ends_where_the_next_one_begins() {
        let day = "2024-12-31T00:00:00Z".parse().unwrap();
        let expected = ["2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"].map(|time| time.parse().unwrap());
        assert_eq!(month(day), Some(expected));
    }

    #[test]
    fn no_column_occurs_twice() {
        for version in FocusVersion::ALL {
            let names: Vec<_> = of(version).iter().map(|column| column.name).collect();
            let distinct: std::collections::BTreeSet<_> = names.iter().collect();
            assert_eq!(distinct.len(), names.len(), "{version}");
        }
    }
}
