//! Which calls are read one by one, for exports and costs by meter: those that meet the filters of a report, with the sums that a
//! report of the same calls has.

use super::dimension::{Dimension, Values};
use super::error::{MAX_FILTERS, ReportError};
use super::known::add_names;
use super::known_order::sorted;
use super::named::{NamedFilter, SeveralTagKeys, tag_key};
use super::query::{Allowed, ReportFilter, ReportTag, Selection, by_dimension, check_distinct, check_tag};
use super::usage_source::UsageSource;
use super::zone::Zone;
use super::{ReportRow, Totals, check_calls, sums};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::permissions::{Access, ReadReports};
use domain::{AgentId, TagKey, TenantId};
use serde_json::{Map, Value, json};
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;
use streams::TenantReads;
use thiserror::Error;

/// The setting of a transaction with the values of the filters, which are never a part of a statement.
const SETTING: &str = "apex.call_filters";
/// The member of the setting with the key of the tag.
const TAG_KEY: &str = "tag_key";

/// Filters on calls that are read one by one: those of reports, but for periods of time. Filters on the same dimension are
/// alternatives; those on different dimensions must all be met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilters {
    filters: Vec<ReportFilter>,
    tag_key: Option<TagKey>,
}

/// Why filters are none of calls that are read one by one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallFilterError {
    /// There are too many filters.
    #[error("there are {0} filters, at most {MAX_FILTERS} are allowed")]
    TooMany(usize),
    /// A filter is on a period of time.
    #[error("{0} is a period of time, by which calls are not filtered here: name the time range by its limits")]
    OnTime(Dimension),
    /// A filter is on a tag, and no key says which one.
    #[error("a filter is on a tag, and has no key that says which one")]
    NoTagKey,
    /// Filters name several keys of tags.
    #[error(transparent)]
    SeveralTagKeys(#[from] SeveralTagKeys),
}

impl CallFilters {
    /// Checks filters.
    ///
    /// # Errors
    /// [`CallFilterError`] if there are more than [`MAX_FILTERS`], one is on a period of time, or they are on several tags.
    pub fn new(named: &[NamedFilter]) -> Result<Self, CallFilterError> {
        let tag_key = tag_key(&[], named)?.cloned();
        Self::of(named.iter().map(|filter| filter.filter().clone()).collect(), tag_key)
    }

    /// Checks filters, of which those on a tag are on that with a key.
    ///
    /// # Errors
    /// As [`CallFilters::new`].
    pub fn of(filters: Vec<ReportFilter>, tag_key: Option<TagKey>) -> Result<Self, CallFilterError> {
        if filters.len() > MAX_FILTERS {
            return Err(CallFilterError::TooMany(filters.len()));
        }
        if let Some(time) = filters.iter().map(ReportFilter::dimension).find(|dimension| dimension.is_time()) {
            return Err(CallFilterError::OnTime(time));
        }
        let is_on_tag = filters.iter().any(|filter| filter.dimension() == Dimension::Tag);
        match (is_on_tag, tag_key) {
            (true, None) => Err(CallFilterError::NoTagKey),
            (true, key) => Ok(Self { filters, tag_key: key }),
            (false, _) => Ok(Self { filters, tag_key: None }),
        }
    }

    /// The values of each dimension with filters. Values of other dimensions than time are the same in every zone.
    fn allowed(&self) -> Result<BTreeMap<Dimension, Allowed>, ReportError> {
        by_dimension(&self.filters, (Tz::UTC, &Zone::from(Tz::UTC)))
    }

    /// The conditions on a call `c`, each after an `and`, in a transaction that [`CallFilters::set`] was called in.
    pub(crate) fn conditions(&self) -> Result<String, ReportError> {
        let condition = |(dimension, allowed): (Dimension, Allowed)| {
            let definition = dimension.definition();
            let value = format!("(select current_setting('{SETTING}')::jsonb)");
            let column = if dimension == Dimension::Tag {
                format!("(c.tags ->> (select current_setting('{SETTING}')::jsonb ->> '{TAG_KEY}'))")
            } else {
                definition.column.replacen("u.", "c.", 1)
            };
            let cast = match definition.values {
                Values::Ids | Values::Objects(_) => "uuid",
                Values::Text | Values::Periods(_) => "text",
            };
            let values = format!("array(select jsonb_array_elements_text({value} -> '{dimension}'))::{cast}[]");
            let is_one = format!("{column} = any ({values})");
            if allowed.none { format!(" and ({is_one} or {column} is null)") } else { format!(" and {is_one}") }
        };
        Ok(self.allowed()?.into_iter().map(condition).collect())
    }

    /// Sets the values of the filters for the conditions, until the end of the transaction.
    pub(crate) async fn set(&self, transaction: &mut PgConnection) -> Result<(), ReportError> {
        let values =
            self.allowed()?.into_iter().map(|(dimension, allowed)| (dimension.to_string(), json!(allowed.values)));
        let mut values: Map<String, Value> = values.collect();
        values.insert(TAG_KEY.to_owned(), json!(self.tag_key.as_ref().map(TagKey::as_str)));
        let set = "select set_config($1, $2, true)";
        sqlx::query(set).bind(SETTING).bind(Value::Object(values).to_string()).execute(transaction).await?;
        Ok(())
    }

    /// The calls of a tenant that started in a time range and meet the filters; of some agents, if they are given.
    fn selection(
        &self,
        (tenant, agents): (&TenantId, Option<&[AgentId]>),
        (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    ) -> Result<Selection, ReportError> {
        let mut allowed = self.allowed()?;
        if let Some(agents) = agents {
            let agents = agents.iter().map(|agent| agent.0.to_string());
            let of_agents = match allowed.remove(&Dimension::Agent) {
                Some(filtered) => agents.filter(|agent| filtered.values.contains(agent)).collect(),
                None => agents.collect(),
            };
            allowed.insert(Dimension::Agent, Allowed { values: of_agents, ..Allowed::default() });
        }
        let zone = Zone::from(Tz::UTC);
        let dimensions = allowed.keys().copied().collect();
        // Sums by a tag lack the calls that were reported while its key was not declared, and have the tags of then.
        let source = UsageSource::of(&dimensions, false, [from, to], &zone.between(from, to));
        let tag = self.tag_key.clone().map(|key| ReportTag { key, is_declared: false });
        Ok(Selection {
            source,
            tenant: tenant.clone(),
            tag,
            by: Vec::new(),
            zone,
            top: None,
            base: None,
            allowed,
            from,
            to,
        })
    }

    /// The sums that the report of the same calls has. None if no sums answer it, and there are more calls than a report reads.
    pub(crate) async fn totals(
        &self,
        connection: &mut PgConnection,
        of: (&TenantId, Option<&[AgentId]>),
        range: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    ) -> Result<Option<Totals>, ReportError> {
        let selection = self.selection(of, range)?;
        match check_calls(connection, &selection).await {
            Ok(()) => Ok(Some(sums(connection, &selection, None).await?.0)),
            Err(ReportError::TooManyCalls { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How calls that are read one by one are grouped: rows have the keys, the order and the names of those of a report.
pub(crate) struct CallGroups {
    selection: Selection,
}

impl CallGroups {
    /// Groups by dimensions, with the periods of a time zone, and the tag of [`Dimension::Tag`].
    pub(crate) fn new(
        tenant: &TenantId,
        by: &[Dimension],
        zone: Tz,
        tag: Option<ReportTag>,
    ) -> Result<Self, ReportError> {
        check_distinct(by)?;
        check_tag(by.contains(&Dimension::Tag), tag.as_ref())?;
        let selection = Selection {
            source: UsageSource::Calls,
            tenant: tenant.clone(),
            tag,
            by: by.to_vec(),
            zone: zone.into(),
            top: None,
            base: None,
            allowed: BTreeMap::new(),
            from: None,
            to: None,
        };
        Ok(Self { selection })
    }

    /// The key of the period that a time is in; none if the dimension is no time.
    pub(crate) fn time_key(&self, by: Dimension, time: DateTime<Utc>) -> Option<String> {
        by.key_at(&self.selection.zone, time)
    }

    /// Rows in the order of a report.
    pub(crate) fn sorted(&self, rows: Vec<ReportRow>) -> Vec<ReportRow> {
        sorted(&self.selection, rows)
    }

    /// Looks up the names of agents and tasks.
    pub(crate) async fn add_names(
        &self,
        reads: &TenantReads,
        access: &Access<ReadReports>,
        rows: &mut [ReportRow],
    ) -> Result<(), ReportError> {
        add_names(reads, access, &self.selection.by, rows).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(texts: &[&str]) -> Result<CallFilters, CallFilterError> {
        CallFilters::new(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<NamedFilter>>())
    }

    #[test]
    fn filters_on_time_or_on_several_tags_and_too_many_are_refused() {
        assert_eq!(filters(&["model=m", "day=2026-03-01"]), Err(CallFilterError::OnTime(Dimension::Day)));
        let several = filters(&["tag:a=1", "tag:b=1"]).unwrap_err();
        assert!(several.to_string().contains("tag:a and tag:b"), "{several}");
        assert_eq!(filters(&vec!["model=m"; 51]), Err(CallFilterError::TooMany(51)));
        assert!(filters(&vec!["model=m"; 50]).is_ok());
    }

    #[test]
    fn conditions_have_no_values_in_them() {
        let agent = "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01";
        let texts = ["model=O'Brien; drop table", "model=", &format!("agent={agent}"), "tag:te'am=x", "tag:te'am="];
        let conditions = filters(&texts).unwrap().conditions().unwrap();
        assert!(
            !conditions.contains("Brien") && !conditions.contains("te'am") && !conditions.contains(agent),
            "{conditions}"
        );
        assert!(
            conditions.contains(" and c.agent_id = any (array(") && conditions.contains("::uuid[])"),
            "{conditions}"
        );
        assert!(conditions.contains("or c.model is null)") && conditions.contains("(c.tags ->> ("), "{conditions}");
        assert_eq!(CallFilters::default().conditions().unwrap(), "");
    }

    #[test]
    fn an_access_to_some_agents_is_a_filter_on_agents() {
        let [ada, bob] = ["0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01", "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a02"];
        let tenant: TenantId = "t".parse().unwrap();
        let allowed = |texts: &[&str], agents: &[&str]| {
            let agents: Vec<_> = agents.iter().map(|agent| AgentId(agent.parse().unwrap())).collect();
            let selection = filters(texts).unwrap().selection((&tenant, Some(&agents)), (None, None)).unwrap();
            let of_agents = selection.allowed.get(&Dimension::Agent).unwrap();
            assert!(!of_agents.none);
            (of_agents.values.clone(), selection.source)
        };
        assert_eq!(allowed(&[], &[ada]), (vec![ada.to_owned()], UsageSource::QuarterHours));
        let both = [&*format!("agent={ada}"), &*format!("agent={bob}"), "agent="];
        assert_eq!(allowed(&both, &[bob]).0, [bob]);
        assert_eq!(allowed(&[&format!("agent={ada}")], &[bob]).0, Vec::<String>::new());
        // Sums by task have no agents.
        assert_eq!(allowed(&[&format!("task={ada}")], &[bob]).1, UsageSource::Calls);
    }
}
