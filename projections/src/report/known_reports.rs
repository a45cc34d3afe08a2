//! Reports as known at an earlier time, as a server makes them: few at the same time, and each once for all of its pages.
//!
//! What was known at a position never changes, so that a report may be kept for as long as there is memory for it.

use super::changes::{CostChanges, check_changes, in_order};
use super::error::ReportError;
use super::known::{KnownAt, KnownLimits, KnownReport, add_names, end};
use super::query::{ReportFilter, ReportQuery};
use super::{BasePeriod, Dimension, Report, ReportPage};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::{AgentId, TagKey, TenantId};
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use streams::{Log, Position, TenantLog, TenantReads, Turns};

/// The most reports that are summed up at the same time. Each takes up to 60 MB meanwhile, up to 100 MB if
/// it is compared with another period.
pub const MAX_KNOWN_REPORTS: usize = 2;
/// The most memory that the reports which are kept take, in bytes.
const MAX_KEPT_BYTES: u64 = 64 * 1024 * 1024;
/// How long a report is kept after its last page.
const KEPT_FOR: Duration = Duration::from_secs(120);

/// Which report it is. A report with the same key has the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ReportKey {
    tenant: TenantId,
    /// The agents to whose calls the reader is limited.
    agents: Option<Vec<AgentId>>,
    position: Position,
    by: Vec<Dimension>,
    filters: Vec<ReportFilter>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    zone: Tz,
    top: Option<u32>,
    compared_with: Option<BasePeriod>,
    tag_key: Option<TagKey>,
}

impl ReportKey {
    fn of(query: &ReportQuery, position: Position) -> Self {
        let ReportQuery { access, by, filters, zone, from, to, top, compared_with, tag } = query;
        Self {
            tenant: access.tenant().clone(),
            agents: access.agents().map(<[AgentId]>::to_vec),
            position,
            by: by.clone(),
            filters: filters.clone(),
            from: *from,
            to: *to,
            zone: *zone,
            top: *top,
            compared_with: *compared_with,
            tag_key: tag.as_ref().map(|tag| tag.key.clone()),
        }
    }

    /// The memory of an entry of the cache beside its report, in bytes: the key, which the cache keeps twice at most, and what
    /// the cache itself needs.
    fn bytes(&self) -> usize {
        const ENTRY: usize = 1024;
        let agents = self.agents.as_ref().map_or(0, |agents| size_of_val(agents.as_slice()));
        let texts: usize = self.filters.iter().map(ReportFilter::text_bytes).sum();
        ENTRY + 2 * (agents + texts + size_of_val(self.filters.as_slice()) + size_of_val(self.by.as_slice()))
    }
}

/// The reports as known at an earlier time of a process.
#[derive(Debug)]
pub struct KnownReports {
    /// Tenants take turns.
    turns: Turns<TenantId>,
    kept: Cache<ReportKey, Arc<KnownReport>>,
    timeout: Duration,
}

impl KnownReports {
    /// Waits for at most `timeout` until a report may be summed up.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        let bytes = |key: &ReportKey, report: &Arc<KnownReport>| {
            u32::try_from(key.bytes().saturating_add(report.bytes())).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder().weigher(bytes).max_capacity(MAX_KEPT_BYTES).time_to_idle(KEPT_FOR).build();
        Self { turns: Turns::new(MAX_KNOWN_REPORTS), kept, timeout }
    }

    /// A page of a report as known at a point of the log. The names of agents and tasks are the present ones.
    ///
    /// # Errors
    /// [`ReportError`] if the query or the cursor is invalid, there are more events or rows than
    /// [`KnownLimits::OF_REQUEST`] allows, as many reports as may be are being summed up, or the log or the database cannot be
    /// read.
    pub async fn page(
        &self,
        (log, events): (&Log, &TenantLog),
        reads: &TenantReads,
        (query, known_at): (&ReportQuery, KnownAt),
        page: &ReportPage,
    ) -> Result<Report, ReportError> {
        let selection = query.select()?;
        let end = end(log, known_at).await?;
        let sum_up = async || KnownReport::sum_up(events, query, query.select()?, end, KnownLimits::OF_REQUEST).await;
        // The whole report is in use no longer than it takes to copy the page.
        let mut report = self.get(ReportKey::of(query, end), sum_up).await?.page(&selection, page)?;
        add_names(reads, &query.access, &selection.by, &mut report.rows).await?;
        Ok(report)
    }

    /// How a report changed between two points of the log. The names of agents and tasks are the present ones.
    ///
    /// # Errors
    /// As for [`KnownReports::page`], and [`ReportError::NotInOrder`] if the second point is before the first one.
    pub async fn changes(
        &self,
        (log, events): (&Log, &TenantLog),
        reads: &TenantReads,
        query: &ReportQuery,
        (from, to): (KnownAt, KnownAt),
    ) -> Result<CostChanges, ReportError> {
        let selection = check_changes(query)?;
        let (from, to) = in_order(log, from, to).await?;
        let sum_up =
            async |end| KnownReport::sum_up(events, query, query.select()?, end, KnownLimits::OF_REQUEST).await;
        let before = self.get(ReportKey::of(query, from), async || sum_up(from).await).await?;
        let after = self.get(ReportKey::of(query, to), async || sum_up(to).await).await?;
        let mut changes = CostChanges::between(&before, &after);
        add_names(reads, &query.access, &selection.by, changes.named_rows()).await?;
        Ok(changes)
    }

    /// The report that is kept, or else a new one.
    async fn get(
        &self,
        key: ReportKey,
        sum_up: impl AsyncFnOnce() -> Result<KnownReport, ReportError>,
    ) -> Result<Arc<KnownReport>, ReportError> {
        if let Some(report) = self.kept.get(&key) {
            return Ok(report);
        }
        let turn = tokio::time::timeout(self.timeout, self.turns.take(|| key.tenant.clone())).await;
        let _turn = turn.map_err(|_| ReportError::TooManyReports { limit: MAX_KNOWN_REPORTS, waited: self.timeout })?;
        // Another request may have summed it up meanwhile.
        if let Some(report) = self.kept.get(&key) {
            return Ok(report);
        }
        let report = Arc::new(sum_up().await?);
        self.kept.insert(key, report.clone());
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ReportRow, Totals};
    use futures::StreamExt as _;
    use futures::stream::FuturesUnordered;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    fn key(tenant: &str, position: u64) -> ReportKey {
        ReportKey {
            tenant: tenant.parse().unwrap(),
            agents: None,
            position: position.into(),
            by: vec![Dimension::Model],
            filters: Vec::new(),
            from: None,
            to: None,
            zone: Tz::UTC,
            top: None,
            compared_with: None,
            tag_key: None,
        }
    }

    fn report(position: u64, rows: usize) -> KnownReport {
        let row = || ReportRow {
            keys: vec![Some("m".to_owned())],
            names: vec![None],
            is_rest: false,
            totals: Totals::default(),
            base: None,
        };
        KnownReport::of_rows(position.into(), vec![Dimension::Model], (0..rows).map(|_| row()).collect())
    }

    #[tokio::test]
    async fn no_more_reports_than_the_limit_are_summed_up_at_once_and_the_others_are_refused_after_a_time() {
        const ALL: usize = 20;
        let reports = KnownReports::new(Duration::from_millis(50));
        let (running, most, release) = (AtomicUsize::new(0), AtomicUsize::new(0), Semaphore::new(0));
        let (running, most, release, reports) = (&running, &most, &release, &reports);
        let one = async |n: usize| {
            let sum_up = async || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                release.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(report(1, 1))
            };
            reports.get(key("acme", n as u64), sum_up).await
        };
        let mut found: FuturesUnordered<_> = (0..ALL).map(one).collect();
        // None of those that are summed up ends before the others are refused.
        for _ in 0..ALL - MAX_KNOWN_REPORTS {
            let refused = tokio::time::timeout(Duration::from_secs(30), found.next()).await;
            let refused = refused.expect("more are summed up at once than may be").unwrap();
            assert!(matches!(refused, Err(ReportError::TooManyReports { .. })), "{refused:?}");
        }
        assert_eq!(most.load(Ordering::SeqCst), MAX_KNOWN_REPORTS);
        release.add_permits(ALL);
        assert!(found.all(async |found| found.is_ok()).await);
        assert!(one(99).await.is_ok(), "there is room again");
    }

    #[tokio::test]
    async fn a_report_is_summed_up_once_for_each_reader_and_position() {
        let (reports, made) = (KnownReports::new(Duration::from_secs(5)), AtomicUsize::new(0));
        let (reports, made) = (&reports, &made);
        let get = async |key: ReportKey| {
            let sum_up = async || {
                made.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(report(1, 3))
            };
            reports.get(key, sum_up).await.unwrap();
        };
        // Also for requests that come at the same time, as far as they wait for a turn.
        futures::future::join_all((0..10).map(|_| get(key("acme", 1)))).await;
        assert!(made.swap(0, Ordering::SeqCst) <= MAX_KNOWN_REPORTS);
        get(key("acme", 1)).await;
        assert_eq!(made.load(Ordering::SeqCst), 0);
        let of_agent = ReportKey { agents: Some(vec![AgentId(uuid::Uuid::nil())]), ..key("acme", 1) };
        let of_tag = ReportKey { tag_key: TagKey::new("team").ok(), ..key("acme", 1) };
        let compared = ReportKey { compared_with: Some(BasePeriod::Previous), ..key("acme", 1) };
        for other in [key("umbrella", 1), key("acme", 2), of_agent, of_tag, compared] {
            get(other).await;
        }
        assert_eq!(made.load(Ordering::SeqCst), 5, "no other reader or position has the same report");
    }

    #[tokio::test]
    async fn what_is_kept_is_limited_in_bytes() {
        let reports = KnownReports::new(Duration::from_secs(5));
        let large = report(1, 40_000);
        let most = usize::try_from(MAX_KEPT_BYTES).unwrap() / large.bytes();
        assert!((1..10).contains(&most), "{most}");
        for n in 0..20 {
            reports.get(key("acme", n), async || Ok(report(n, 40_000))).await.unwrap();
        }
        reports.kept.run_pending_tasks();
        assert!(reports.kept.weighted_size() <= MAX_KEPT_BYTES, "{}", reports.kept.weighted_size());
    }
}
