//! What is said about an export on standard error, while it runs and at its end.

use super::request::{Content, ExportRequest};
use chrono::{DateTime, SecondsFormat, Utc};
use std::time::{Duration, Instant};

/// How often progress is said.
const INTERVAL: Duration = Duration::from_secs(5);

/// What a complete export contains, as it is known at its start.
#[derive(Debug, Default)]
pub(super) struct ExportSummary {
    /// The calls that there are; none where that is not known.
    pub(super) calls: Option<u64>,
    /// The LLM calls among them that have no price.
    pub(super) unpriced_calls: Option<u64>,
    /// The position up to which the export has every call.
    pub(super) position: String,
}

/// How much of an export was read so far.
pub(super) enum AmountRead {
    Calls { calls: u64, at: Option<DateTime<Utc>> },
    Bytes(u64),
}

/// Says how far an export is, from time to time.
pub(super) struct Progress {
    summary: ExportSummary,
    started: Instant,
    next: Instant,
}

impl Progress {
    pub(super) fn new(summary: ExportSummary) -> Self {
        let started = Instant::now();
        Self { summary, started, next: started + INTERVAL }
    }

    /// Says how far the export is, if nothing was said for a while.
    pub(super) fn at(&mut self, reached: &AmountRead) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + INTERVAL;
            say!("{}", self.text(reached, now - self.started));
        }
    }

    fn text(&self, reached: &AmountRead, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs();
        match reached {
            AmountRead::Calls { calls, at } => {
                let percent = self.summary.calls.filter(|all| *all > 0).map(|all| calls.saturating_mul(100) / all);
                let percent = percent.map_or(String::new(), |percent| format!(" ({} %)", percent.min(100)));
                let at =
                    at.map_or(String::new(), |at| format!(", up to {}", at.to_rfc3339_opts(SecondsFormat::Secs, true)));
                format!("{calls} calls read{percent}{at}, {seconds} s.")
            }
            AmountRead::Bytes(bytes) => {
                let all = self.summary.calls.map_or(String::new(), |all| format!(" of an export of {all} calls"));
                format!("{} MiB received{all}, {seconds} s.", bytes / (1024 * 1024))
            }
        }
    }

    /// Says what a complete export contains.
    pub(super) fn end(&self, request: &ExportRequest) {
        say!("Export as of position {}.", self.summary.position);
        if let Some(unpriced) = self.summary.unpriced_calls.filter(|unpriced| *unpriced > 0) {
            match request.content {
                Content::Calls => say!("{unpriced} LLM calls have no price, and therefore no cost."),
                Content::Focus(_) => {
                    say!("{unpriced} LLM calls have no price: they have no cost, and are not in the export.");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_has_a_share_where_the_whole_is_known() {
        let text = |calls| {
            let progress = Progress::new(ExportSummary { calls, ..ExportSummary::default() });
            let at = "2026-03-04T05:06:07.25Z".parse().ok();
            progress.text(&AmountRead::Calls { calls: 250, at }, Duration::from_secs(12))
        };
        assert_eq!(text(Some(1000)), "250 calls read (25 %), up to 2026-03-04T05:06:07Z, 12 s.");
        assert_eq!(text(None), "250 calls read, up to 2026-03-04T05:06:07Z, 12 s.");
        assert_eq!(text(Some(0)), text(None));
        let received = |calls| {
            let progress = Progress::new(ExportSummary { calls, ..ExportSummary::default() });
            progress.text(&AmountRead::Bytes(3 << 20), Duration::from_secs(12))
        };
        assert_eq!(received(Some(1000)), "3 MiB received of an export of 1000 calls, 12 s.");
        assert_eq!(received(None), "3 MiB received, 12 s.");
    }
}
