//! Anomalies as they are printed, wherever they were found.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::excess::Deviation;
use projections::outlook::{BandError, Cause, CostAnomalies, CostAnomaly};
use streams::Position;

/// The anomalies of a time range.
pub(super) struct View {
    pub(super) anomalies: Vec<AnomalyView>,
    /// The number of anomalies, of which the first are shown.
    pub(super) count: u64,
    pub(super) to: DateTime<Utc>,
    pub(super) band: String,
    pub(super) bands: Vec<BandView>,
    pub(super) history_from: DateTime<Utc>,
    pub(super) tested_steps: u64,
    pub(super) unpriced_calls: i64,
    pub(super) time_zone: String,
    pub(super) position: Position,
    pub(super) head: Position,
    pub(super) summed_from: String,
}

/// How well a band fits the history.
pub(super) struct BandView {
    pub(super) band: String,
    pub(super) is_naive: bool,
    pub(super) score: Option<String>,
}

/// An anomaly.
pub(super) struct AnomalyView {
    pub(super) key: String,
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) deviation: DeviationView,
    pub(super) lower: String,
    pub(super) upper: String,
    pub(super) causes: Vec<CauseView>,
    pub(super) rest: Option<DeviationView>,
}

/// A cost, and what was expected of it.
pub(super) struct DeviationView {
    pub(super) actual: String,
    pub(super) expected: String,
    pub(super) excess: String,
}

/// A value that contributes to an anomaly.
pub(super) struct CauseView {
    pub(super) value: Option<String>,
    pub(super) name: Option<String>,
    pub(super) deviation: DeviationView,
}

impl From<&Deviation> for DeviationView {
    fn from(of: &Deviation) -> Self {
        Self { actual: of.actual.to_string(), expected: of.expected.to_string(), excess: of.excess().to_string() }
    }
}

impl From<CostAnomaly> for AnomalyView {
    fn from(found: CostAnomaly) -> Self {
        let cause =
            |cause: Cause| CauseView { value: cause.value, name: cause.name, deviation: (&cause.deviation).into() };
        Self {
            deviation: DeviationView {
                actual: found.actual.to_string(),
                expected: found.expected.to_string(),
                excess: found.excess().to_string(),
            },
            key: found.key,
            from: found.from,
            to: found.to,
            lower: found.lower.to_string(),
            upper: found.upper.to_string(),
            rest: found.causes.rest.as_ref().map(Into::into),
            causes: found.causes.first.into_iter().map(cause).collect(),
        }
    }
}

impl View {
    pub(super) fn new(found: CostAnomalies, zone: Tz, head: Position) -> Self {
        let number = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
        let band = |of: BandError| BandView {
            band: of.band.as_str().to_owned(),
            is_naive: of.band.is_naive(),
            score: of.score.map(|score| score.to_string()),
        };
        Self {
            anomalies: found.anomalies.into_iter().map(Into::into).collect(),
            count: number(found.count),
            to: found.to,
            band: found.band.as_str().to_owned(),
            bands: found.bands.into_iter().map(band).collect(),
            history_from: found.history_from,
            tested_steps: number(found.tested_steps),
            unpriced_calls: found.unpriced_calls,
            time_zone: zone.name().to_owned(),
            head: head.max(found.position),
            position: found.position,
            summed_from: found.summed_from,
        }
    }

    pub(super) fn events_behind(&self) -> u64 {
        self.head.get().saturating_sub(self.position.get())
    }
}
