//! Which usage a report contains.

use super::comparison::{BasePeriod, TimeRange};
use super::dimension::Dimension;
use super::error::{InvalidFilter, MAX_FILTERS, MAX_TOP, ReportError};
use super::period::Start;
use super::usage_source::{UsageSource, list, nearest};
use super::zone::Zone;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use chrono_tz::Tz;
use domain::permissions::{Access, ReadReports};
use domain::{TagKey, TenantId};
use std::collections::{BTreeMap, BTreeSet};

/// Which usage a report contains.
#[derive(Debug, Clone)]
pub struct ReportQuery {
    /// The access to the data of the tenant whose calls are reported.
    pub access: Access<ReadReports>,
    /// The dimensions that the report is grouped by, in this order; only the total if there are none.
    pub by: Vec<Dimension>,
    /// Only calls that meet these filters, at most [`MAX_FILTERS`]. Filters on the same dimension are alternatives; those on
    /// different dimensions must all be met.
    pub filters: Vec<ReportFilter>,
    /// The time zone of the periods of time that the report is grouped by and filtered on.
    pub zone: Tz,
    /// Only calls that started at or after this time, the start of a quarter of an hour; of a minute in a report by minutes.
    pub from: Option<DateTime<Utc>>,
    /// Only calls that started before this time, likewise.
    pub to: Option<DateTime<Utc>>,
    /// The number of rows of highest charged cost that the report has, of each period if it is grouped by time; all others are
    /// summed up in a row of the rest. All rows if none; at most [`MAX_TOP`].
    pub top: Option<u32>,
    /// The period that the report is compared with. It needs a time range, and no dimension of time.
    pub compared_with: Option<BasePeriod>,
    /// The tag of [`Dimension::Tag`]; none if the report is neither grouped by that dimension nor filtered on it.
    pub tag: Option<ReportTag>,
}

/// The tag whose values a report is about. A report has one at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportTag {
    /// The key of the tag.
    pub key: TagKey,
    /// Whether the key is declared, so that sums are kept by its values. Otherwise the calls are read.
    pub is_declared: bool,
}

/// A condition on calls: the value that they have of one dimension.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReportFilter {
    dimension: Dimension,
    /// The value in the form of the keys of rows; none for calls that have no value.
    value: Option<String>,
}

impl ReportFilter {
    /// The length of its value, in bytes.
    pub(super) fn text_bytes(&self) -> usize {
        self.value.as_ref().map_or(0, String::len)
    }

    /// The dimension that it is on.
    pub(crate) fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// Creates a filter for calls with a value of a dimension, or for calls without a value.
    ///
    /// # Errors
    /// [`InvalidFilter`] if no call can have the value.
    pub fn new(dimension: Dimension, value: Option<&str>) -> Result<Self, InvalidFilter> {
        let key = match value {
            Some(text) => dimension.parse(text).map(Some),
            None => (!dimension.is_time()).then_some(None),
        };
        key.map(|value| Self { dimension, value }).ok_or_else(|| InvalidFilter::new(dimension, value))
    }
}

/// A query that was checked: the rows of the usage source that a report is about.
#[derive(Debug)]
pub(super) struct Selection {
    /// What the report is summed from.
    pub(super) source: UsageSource,
    pub(super) tenant: TenantId,
    /// The tag of [`Dimension::Tag`], if that is a dimension of the report.
    pub(super) tag: Option<ReportTag>,
    /// The dimensions that the rows are grouped by.
    pub(super) by: Vec<Dimension>,
    /// The zone of the periods of time.
    pub(super) zone: Zone,
    /// The number of rows before the rest.
    pub(super) top: Option<u32>,
    /// The time range of the period that the report is compared with.
    pub(super) base: Option<TimeRange>,
    /// The allowed values of each dimension with filters.
    pub(super) allowed: BTreeMap<Dimension, Allowed>,
    /// The start of the time range, which lies within the filtered periods of time: the index by time answers these filters.
    pub(super) from: Option<DateTime<Utc>>,
    /// The end of the time range.
    pub(super) to: Option<DateTime<Utc>>,
}

/// The values of one dimension that a report is limited to.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    /// Values in the form of the keys of rows.
    pub(super) values: Vec<String>,
    /// Where the periods of time with these values begin; empty for other dimensions.
    pub(super) starts: Vec<Start>,
    /// Whether calls without a value are allowed as well.
    pub(super) none: bool,
}

impl ReportQuery {
    /// A report on all usage, in one row.
    #[must_use]
    pub fn new(access: Access<ReadReports>) -> Self {
        Self {
            access,
            by: Vec::new(),
            filters: Vec::new(),
            zone: Tz::UTC,
            from: None,
            to: None,
            top: None,
            compared_with: None,
            tag: None,
        }
    }

    /// Returns the projections that feed the report: that of the usage, and those with the names of agents and tasks.
    #[must_use]
    pub fn projections(&self) -> Vec<&'static str> {
        ["calls"].into_iter().chain(self.by.iter().filter_map(|by| by.names_projection())).collect()
    }

    /// What the report is summed from.
    ///
    /// # Errors
    /// [`ReportError`] if the query is invalid.
    pub fn source(&self) -> Result<UsageSource, ReportError> {
        Ok(self.select()?.source)
    }

    /// Checks the query.
    pub(super) fn select(&self) -> Result<Selection, ReportError> {
        check_distinct(&self.by)?;
        if self.filters.len() > MAX_FILTERS {
            return Err(ReportError::TooManyFilters(self.filters.len()));
        }
        if let Some(top) = self.top
            && !(1..=MAX_TOP).contains(&top)
        {
            return Err(ReportError::InvalidTop(top));
        }
        let zone = Zone::from(self.zone);
        let allowed = by_dimension(&self.filters, (self.zone, &zone))?;
        let (tenant, by) = (self.access.tenant().clone(), self.by.clone());
        let dimensions: BTreeSet<_> = by.iter().chain(allowed.keys()).copied().collect();
        check_range((self.from, self.to), &dimensions)?;
        let base = self.base(&dimensions)?;
        if let Some((from, to)) = base {
            check_range((Some(from), Some(to)), &dimensions)?;
        }
        check_tag(dimensions.contains(&Dimension::Tag), self.tag.as_ref())?;
        let (from, to) = narrowed(&zone, self.from, self.to, &allowed);
        let limits = [from, to].into_iter().chain(base.iter().flat_map(|(from, to)| [Some(*from), Some(*to)]));
        let source = UsageSource::of(&dimensions, is_declared(self.tag.as_ref()), limits, &zone.between(from, to));
        let (tag, top) = (self.tag.clone(), self.top);
        Ok(Selection { source, tenant, tag, by, zone, top, base, allowed, from, to })
    }

    /// The time range of the period that the report is compared with.
    fn base(&self, dimensions: &BTreeSet<Dimension>) -> Result<Option<TimeRange>, ReportError> {
        let Some(compared_with) = self.compared_with else { return Ok(None) };
        if let Some(time) = dimensions.iter().find(|by| by.is_time()) {
            return Err(ReportError::ComparedByTime(*time));
        }
        let range = compared_with.range(self.zone, (self.from, self.to));
        range.ok_or(ReportError::ComparedWithoutRange).map(Some)
    }
}

/// Checks that rows are not grouped by a dimension twice.
pub(super) fn check_distinct(by: &[Dimension]) -> Result<(), ReportError> {
    match by.iter().enumerate().find(|(index, dimension)| by[..*index].contains(dimension)) {
        Some((_, dimension)) => Err(ReportError::DuplicateDimension(*dimension)),
        None => Ok(()),
    }
}

/// Checks that a key of a tag is given if a tag is a dimension, and only then.
pub(super) fn check_tag(is_by_tag: bool, tag: Option<&ReportTag>) -> Result<(), ReportError> {
    match (is_by_tag, tag) {
        (true, None) => Err(ReportError::NoTagKey),
        (false, Some(tag)) => Err(ReportError::UnusedTagKey(tag.key.clone())),
        (true, Some(_)) | (false, None) => Ok(()),
    }
}

/// The values of the filters by dimension.
pub(super) fn by_dimension(
    filters: &[ReportFilter],
    (tz, zone): (Tz, &Zone),
) -> Result<BTreeMap<Dimension, Allowed>, ReportError> {
    let mut allowed: BTreeMap<Dimension, Allowed> = BTreeMap::new();
    for ReportFilter { dimension, value } in filters {
        let of_dimension = allowed.entry(*dimension).or_default();
        match (value, dimension.unit()) {
            (Some(value), Some(unit)) => {
                let not_in_zone = || ReportError::NotInZone(InvalidFilter::new(*dimension, Some(value)), tz);
                let start = unit.parse(zone, value).ok_or_else(not_in_zone)?;
                of_dimension.starts.push(start);
                of_dimension.values.push(unit.text(zone, start));
            }
            (Some(value), None) => of_dimension.values.push(value.clone()),
            (None, _) => of_dimension.none = true,
        }
    }
    Ok(allowed)
}

/// Checks that a time range is not empty, and consists of whole quarters of an hour, or of whole minutes in a report by them.
fn check_range(
    (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    dimensions: &BTreeSet<Dimension>,
) -> Result<(), ReportError> {
    let is_by_minute = dimensions.contains(&Dimension::Minute);
    let step = TimeDelta::minutes(if is_by_minute { 1 } else { 15 });
    for limit in [from, to].into_iter().flatten() {
        if limit.duration_trunc(step).ok() != Some(limit) {
            let error = if is_by_minute { ReportError::NotAMinute } else { ReportError::NotAQuarterHour };
            return Err(error(limit));
        }
    }
    match (from, to) {
        (Some(from), Some(to)) if from >= to => Err(ReportError::EmptyRange { from, to }),
        _ => Ok(()),
    }
}

impl Selection {
    /// The error that the report would read too many calls.
    pub(super) fn too_many_calls(&self) -> ReportError {
        let dimensions: BTreeSet<_> = self.by.iter().chain(self.allowed.keys()).copied().collect();
        let (is_declared, range) = (is_declared(self.tag.as_ref()), (self.from, self.to));
        ReportError::TooManyCalls {
            dimensions: list(&dimensions),
            nearest: nearest(&dimensions, is_declared, &self.zone.between(self.from, self.to)),
            answered_since: UsageSource::answers_since(&dimensions, is_declared, &self.zone, range),
        }
    }
}

fn is_declared(tag: Option<&ReportTag>) -> bool {
    tag.is_some_and(|tag| tag.is_declared)
}

/// A time range without what lies before the first or after the last allowed period of time.
fn narrowed(
    zone: &Zone,
    mut from: Option<DateTime<Utc>>,
    mut to: Option<DateTime<Utc>>,
    allowed: &BTreeMap<Dimension, Allowed>,
) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    for (dimension, allowed) in allowed {
        let Some(unit) = dimension.unit() else { continue };
        let (starts, ends): (Vec<_>, Vec<_>) = allowed.starts.iter().map(|start| unit.range(zone, *start)).unzip();
        from = from.max(starts.into_iter().flatten().min());
        to = [to, ends.into_iter().flatten().max()].into_iter().flatten().min();
    }
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(filters: &[(Dimension, &str)]) -> Vec<ReportFilter> {
        filters.iter().map(|(dimension, value)| ReportFilter::new(*dimension, Some(value)).unwrap()).collect()
    }

    #[test]
    fn filters_on_times_narrow_the_range_and_others_do_not() {
        let range_in = |zone: Tz, from: &str, to: &str, of: &[(Dimension, &str)]| {
            let time = |text: &str| text.parse::<DateTime<Utc>>().ok();
            let local = Zone::from(zone);
            narrowed(&local, time(from), time(to), &by_dimension(&filters(of), (zone, &local)).unwrap())
        };
        let range = |from: &str, to: &str, of: &[(Dimension, &str)]| range_in(Tz::UTC, from, to, of);
        let expected = |from: &str, to: &str| (from.parse().ok(), to.parse().ok());
        let days = [(Dimension::Day, "2023-09-03"), (Dimension::Day, "2023-09-01")];
        assert_eq!(range("", "", &days), expected("2023-09-01T00:00:00Z", "2023-09-04T00:00:00Z"));
        let hour = [(Dimension::Month, "2023-09"), (Dimension::Hour, "2023-09-30T23:00Z"), (Dimension::Model, "m")];
        assert_eq!(range("", "", &hour), expected("2023-09-30T23:00:00Z", "2023-10-01T00:00:00Z"));
        let within = range("2023-09-02T00:00:00Z", "2023-09-02T05:00:00Z", &days);
        assert_eq!(within, expected("2023-09-02T00:00:00Z", "2023-09-02T05:00:00Z"));
        assert_eq!(range("", "2023-09-02T05:00:00Z", &[(Dimension::Model, "m")]), expected("", "2023-09-02T05:00:00Z"));
        // Days of 25 and of 23 hours.
        for (day, from, to) in [
            ("2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            ("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ] {
            assert_eq!(range_in(Tz::Europe__Berlin, "", "", &[(Dimension::Day, day)]), expected(from, to));
        }
    }

    #[test]
    fn a_report_of_too_many_calls_says_from_when_on_sums_answer_it() {
        let refused = |zone: Tz| {
            let selection = Selection {
                source: UsageSource::Calls,
                tenant: "t".parse().unwrap(),
                tag: None,
                by: vec![Dimension::Model, Dimension::Day],
                zone: zone.into(),
                top: None,
                base: None,
                allowed: BTreeMap::new(),
                from: None,
                to: None,
            };
            selection.too_many_calls().to_string()
        };
        let end = "or report by model, by which sums are kept; or begin at 2011-03-13T03:45:00Z or later, from when on sums \
                   answer this report";
        assert!(refused(Tz::America__St_Johns).ends_with(end), "{}", refused(Tz::America__St_Johns));
    }

    #[test]
    fn a_filter_that_no_call_can_meet_is_refused_with_what_is_expected() {
        let refused = |dimension, value| ReportFilter::new(dimension, value).unwrap_err().to_string();
        assert_eq!(refused(Dimension::Agent, Some("ada")), "the filter agent=ada cannot be met: expected a UUID");
        assert_eq!(refused(Dimension::Day, None), "the filter day= cannot be met: expected a day, such as 2023-11-14");
        let long = refused(Dimension::Model, Some(&"m".repeat(10_000)));
        assert!(long.len() < 200, "{long}");
    }
}
