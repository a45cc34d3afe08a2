//! A forecast as it is printed, wherever it was made.

use crate::cli::output::{self, Format, time};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use projections::outlook::{CostForecast, MethodError};
use serde_json::{Value, json};
use streams::Position;

/// A forecast.
pub(super) struct View {
    pub(super) from: DateTime<Utc>,
    pub(super) at: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    pub(super) spent: String,
    pub(super) expected: String,
    /// None if the history has too few spans for an interval.
    pub(super) interval: Option<(String, String)>,
    pub(super) percent: u32,
    pub(super) method: String,
    pub(super) methods: Vec<MethodView>,
    pub(super) history_from: DateTime<Utc>,
    pub(super) history_hours: u64,
    pub(super) forecast_hours: u64,
    pub(super) tested_hours: u64,
    pub(super) spans: u64,
    pub(super) independent_spans: u64,
    pub(super) unpriced_calls: i64,
    pub(super) time_zone: String,
    pub(super) position: Position,
    pub(super) head: Position,
    pub(super) summed_from: String,
}

/// How wrong a method was.
pub(super) struct MethodView {
    pub(super) method: String,
    pub(super) is_naive: bool,
    pub(super) error: Option<String>,
}

fn number(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

impl View {
    pub(super) fn new(made: CostForecast, zone: Tz, head: Position) -> Self {
        let of_method = |of: MethodError| MethodView {
            method: of.method.as_str().to_owned(),
            is_naive: of.method.is_naive(),
            error: of.error.map(|error| error.to_string()),
        };
        Self {
            from: made.from,
            at: made.at,
            until: made.until,
            spent: made.spent.to_string(),
            expected: made.expected.to_string(),
            interval: made.interval.map(|(lower, upper)| (lower.to_string(), upper.to_string())),
            percent: made.percent,
            method: made.method.as_str().to_owned(),
            methods: made.methods.into_iter().map(of_method).collect(),
            history_from: made.history_from,
            history_hours: number(made.history_hours),
            forecast_hours: number(made.forecast_hours),
            tested_hours: number(made.tested_hours),
            spans: number(made.spans),
            independent_spans: number(made.independent_spans),
            unpriced_calls: made.unpriced_calls,
            time_zone: zone.name().to_owned(),
            head: head.max(made.position),
            position: made.position,
            summed_from: made.summed_from,
        }
    }

    fn events_behind(&self) -> u64 {
        self.head.get().saturating_sub(self.position.get())
    }

    /// Prints the forecast, and says how it was made.
    pub(super) fn print(&self, format: Format) -> anyhow::Result<()> {
        let limit = |limit: fn(&(String, String)) -> &String| self.interval.as_ref().map(limit).cloned();
        let (lower, upper) = (limit(|(lower, _)| lower), limit(|(_, upper)| upper));
        let columns = ["from", "at", "until", "spent", "expected", "lower", "upper", "percent", "method"];
        let row = |none: &str| {
            let amount = |amount: &Option<String>| amount.clone().unwrap_or_else(|| none.to_owned());
            vec![
                time(self.from),
                time(self.at),
                time(self.until),
                self.spent.clone(),
                self.expected.clone(),
                amount(&lower),
                amount(&upper),
                self.percent.to_string(),
                self.method.clone(),
            ]
        };
        match format {
            Format::Json => output::json(&self.document())?,
            Format::Table => output::table(&columns.map(str::to_owned), &[row("–")], 3..8)?,
            Format::Csv => {
                let more = ["unpriced_calls", "position", "head", "events_behind"];
                let header: Vec<_> = columns.into_iter().chain(more).map(str::to_owned).collect();
                let more = [self.unpriced_calls.to_string(), self.position.to_string(), self.head.to_string()];
                let row = row("").into_iter().chain(more).chain([self.events_behind().to_string()]).collect();
                output::csv(&header, &[row])?;
            }
        }
        self.describe();
        Ok(())
    }

    fn describe(&self) {
        say!("Forecast as of position {} of {}.", self.position, self.head);
        let behind = self.events_behind();
        if behind > 0 {
            say!("It is {behind} events behind the log.");
        }
        say!("Summed from: {}.", self.summed_from);
        say!(
            "Tested on {} spans of {} hours ({} beside each other), of {} hours of history from {}.",
            self.spans,
            self.tested_hours,
            self.independent_spans,
            self.history_hours,
            time(self.history_from)
        );
        for MethodView { method, is_naive, error } in &self.methods {
            let kind = if *is_naive { ", naive" } else { "" };
            let used = if *method == self.method { ", used" } else { "" };
            say!("  {method}{kind}: error {}{used}", error.as_deref().unwrap_or("unknown"));
        }
        if self.tested_hours < self.forecast_hours {
            say!(
                "The history is too short for spans of {} hours, which are forecast: the interval is wider for it.",
                self.forecast_hours
            );
        }
        if self.interval.is_none() {
            say!("The history has too few spans beside each other for an interval of {} %.", self.percent);
        }
        if self.unpriced_calls > 0 {
            say!("{} calls of the history have no known price, and are in no cost.", self.unpriced_calls);
        }
    }

    fn document(&self) -> Value {
        let method = |of: &MethodView| json!({ "method": of.method, "is_naive": of.is_naive, "error": of.error });
        json!({
            "from": self.from,
            "at": self.at,
            "until": self.until,
            "spent": self.spent,
            "expected": self.expected,
            "lower": self.interval.as_ref().map(|(lower, _)| lower),
            "upper": self.interval.as_ref().map(|(_, upper)| upper),
            "percent": self.percent,
            "method": self.method,
            "methods": self.methods.iter().map(method).collect::<Vec<_>>(),
            "history_from": self.history_from,
            "history_hours": self.history_hours,
            "forecast_hours": self.forecast_hours,
            "tested_hours": self.tested_hours,
            "spans": self.spans,
            "independent_spans": self.independent_spans,
            "unpriced_calls": self.unpriced_calls,
            "currency": "USD",
            "time_zone": self.time_zone,
            "position": self.position,
            "head": self.head,
            "events_behind": self.events_behind(),
            "summed_from": self.summed_from,
        })
    }
}
