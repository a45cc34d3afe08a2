//! `apex budgets preview`

use crate::cli::arguments::name;
use crate::cli::backend::{Backend, ShownPreview};
use crate::cli::output::{self, Format, time};
use anyhow::{Context as _, ensure};
use chrono::NaiveDate;
use chrono_tz::Tz;
use domain::budget::{
    Attributes, BudgetControl, BudgetDimension, BudgetScope, BudgetTerms, Enforcement, Measure, Month, OnRefusal,
    PeriodUnit,
};
use domain::{Currency, Meter, Money, Name};
use std::collections::BTreeSet;
use std::time::Duration;

/// Show what a hard budget would have refused of the calls of a month
///
/// Each call is decided as if it had reserved what it used, in the order in which calls started; nothing is charged before the month.
/// At most 200,000 calls are looked at.
#[derive(Debug, clap::Args)]
pub(super) struct Preview {
    /// The month in the time zone, such as 2026-10
    #[arg(long, value_name = "MONTH")]
    month: Month,
    /// The limit for each period, in the unit of the measure
    #[arg(long, value_parser = Money::parse, value_name = "AMOUNT")]
    limit: Money,
    /// What is counted: money, calls, or a meter such as output
    #[arg(long, default_value = "money", value_parser = parse_measure)]
    measure: Measure,
    /// How often a period begins: hour, day, week, month, quarter, year or total
    #[arg(long, default_value = "month", value_parser = parse_period)]
    period: PeriodUnit,
    /// A day on which a period begins
    #[arg(long, default_value = "2024-01-01", value_parser = parse_anchor, value_name = "DAY")]
    anchor: NaiveDate,
    /// The time zone in which periods begin, such as Europe/Berlin
    #[arg(long, default_value = "UTC", value_parser = projections::time_zone, value_name = "ZONE")]
    time_zone: Tz,
    /// Whether what is left of a period, up to the limit, is added to the next one
    #[arg(long)]
    carry_over: bool,
    /// Only calls with this value of a dimension, such as tag:project=apollo; may be given up to 8 times [default: all calls]
    #[arg(long = "where", value_parser = parse_condition, value_name = "DIMENSION=VALUE")]
    conditions: Vec<(BudgetDimension, Name)>,
    /// The format of the preview
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The timeout for the read models to catch up, such as 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub(super) wait: Duration,
}

fn parse_measure(text: &str) -> Result<Measure, String> {
    match text {
        "money" => Ok(Measure::Money),
        "calls" => Ok(Measure::Calls),
        meter => meter.parse::<Meter>().map(Measure::Meter).map_err(|error| format!("{error}; or money, or calls")),
    }
}

fn parse_period(text: &str) -> Result<PeriodUnit, String> {
    let found = PeriodUnit::ALL.into_iter().find(|unit| unit.as_str() == text);
    found.ok_or_else(|| format!("use one of {}", PeriodUnit::ALL.map(PeriodUnit::as_str).join(", ")))
}

fn parse_anchor(text: &str) -> Result<NaiveDate, String> {
    domain::parse_day(text).ok_or_else(|| "expected a day such as 2024-01-15".to_owned())
}

fn parse_condition(text: &str) -> Result<(BudgetDimension, Name), String> {
    let (dimension, value) = text.split_once('=').ok_or("expected a dimension and its value, such as model=gpt-5")?;
    let dimension = dimension.parse::<BudgetDimension>().map_err(|error| domain::error_with_causes(&error))?;
    Ok((dimension, name(value)?))
}

impl Preview {
    /// The terms of the budget.
    fn terms(&self) -> anyhow::Result<BudgetTerms> {
        let mut conditions = Attributes::new();
        for (dimension, value) in &self.conditions {
            ensure!(
                conditions.insert(dimension.clone(), value.clone()).is_none(),
                "--where {dimension} is given twice"
            );
        }
        let scope = if conditions.is_empty() { BudgetScope::Tenant } else { BudgetScope::Conditions { conditions } };
        Ok(BudgetTerms {
            name: Name::new("preview").context("the name of the budget is not valid")?,
            scope,
            limit: self.limit,
            currency: Currency::Usd,
            time_zone: self.time_zone,
            thresholds: BTreeSet::new(),
            control: Some(BudgetControl {
                enforcement: Enforcement::Hard,
                measure: self.measure,
                period: self.period,
                anchor: self.anchor,
                carry_over: self.carry_over,
                on_refusal: OnRefusal::default(),
                on_unreachable: None,
                parts: domain::budget::Parts::default(),
            }),
        })
    }

    pub(super) async fn run(&self, backend: &impl Backend) -> anyhow::Result<()> {
        let preview = backend.budget_preview(&self.terms()?, self.month).await?;
        if let Some(cut) = preview.cut_after {
            say!("Only the first {} calls are looked at, up to {}.", preview.calls, time(cut));
        }
        if self.format == Format::Json {
            return output::json(&preview);
        }
        print(&preview, self.format)
    }
}

fn print(preview: &ShownPreview, format: Format) -> anyhow::Result<()> {
    let header = [
        "starts_at",
        "ends_at",
        "first_refused_at",
        "limit",
        "granted_calls",
        "charged",
        "refused_calls",
        "refused",
        "unpriced_calls",
    ];
    let rows = preview.periods.iter().map(|period| {
        vec![
            time(period.starts_at),
            time(period.ends_at),
            period.first_refused_at.map(time).unwrap_or_default(),
            period.limit.clone(),
            period.granted_calls.to_string(),
            period.charged.clone(),
            period.refused_calls.to_string(),
            period.refused.clone(),
            period.unpriced_calls.to_string(),
        ]
    });
    output::list(&header, rows.collect(), 3..9, format)?;
    say!(
        "Of {} calls, {} would not have fit, of {}; {} are of models without a price.",
        preview.calls,
        preview.refused_calls,
        preview.refused,
        preview.unpriced_calls
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_periods_and_conditions_are_parsed() {
        assert_eq!(parse_measure("money"), Ok(Measure::Money));
        assert_eq!(parse_measure("output"), Ok(Measure::Meter(Meter::Output)));
        assert!(parse_measure("shoes").unwrap_err().contains("money"), "{:?}", parse_measure("shoes"));
        assert_eq!(parse_period("week"), Ok(PeriodUnit::Week));
        assert!(parse_period("fortnight").unwrap_err().contains("quarter"));
        let (dimension, value) = parse_condition("tag:project=a=b").unwrap();
        assert_eq!((dimension.to_string(), value.as_str()), ("tag:project".to_owned(), "a=b"));
        for bad in ["model", "shoe=x", "model="] {
            assert!(parse_condition(bad).is_err(), "{bad}");
        }
    }
}
