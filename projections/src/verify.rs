//! Rebuilt is live: the log is folded once more, beside what is live and up to where that stands, and both are compared.
//!
//! All of it is one transaction that is rolled back. Neither workers nor queries wait for it, but a switch does. It leaves
//! nothing behind whenever it is interrupted.

use crate::batch::apply_log;
use crate::compare::{Comparison, compare_slots};
use crate::progress::Progress;
use crate::projection::{Projection, Slot, Target};
use crate::runtime::set_search_path;
use crate::transaction;
use crate::versions::{RebuildError, RebuildProgress};
use sqlx::postgres::{PgConnection, PgPool};
use streams::{Log, Position, ReadFilter, RecordedEvent};

/// How to fold for a check.
#[derive(Debug, Clone, Copy)]
pub struct SessionSettings {
    /// Events applied at once.
    pub batch_events: usize,
    /// The session's time zone; what is written may not depend on it.
    pub time_zone: &'static str,
    /// The session's style of dates.
    pub date_style: &'static str,
}

impl SessionSettings {
    /// Unlike those of workers in all that may differ.
    #[must_use]
    pub fn different_locale(batch_events: usize) -> Self {
        Self { batch_events, time_zone: "Asia/Kathmandu", date_style: "SQL, DMY" }
    }
}

/// Folds the log up to where the live tables of a projection stand, and compares.
///
/// # Errors
/// [`RebuildError`], among them that the live tables are of another version.
pub async fn verify(
    pool: &PgPool,
    log: &Log,
    projection: &'static dyn Projection,
    settings: &SessionSettings,
) -> Result<Comparison, RebuildError> {
    verify_with_progress(pool, log, projection, settings, |_| {}).await
}

/// The same, telling how far it is.
///
/// # Errors
/// As [`verify`].
pub async fn verify_with_progress(
    pool: &PgPool,
    log: &Log,
    projection: &'static dyn Projection,
    settings: &SessionSettings,
    mut progress: impl FnMut(RebuildProgress),
) -> Result<Comparison, RebuildError> {
    let mut transaction = transaction::begin(pool).await?;
    // One moment for the checkpoints and the tables, however long the folding takes.
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *transaction).await?;
    let live = Progress::of(&mut transaction, projection.name()).await?;
    let code = projection.version();
    if let Some(live) = live.version.filter(|live| *live != code) {
        return Err(RebuildError::VersionMismatch { projection: projection.name(), live, code });
    }
    sqlx::query("select apex.make_projection($1, $2)")
        .bind(projection.name())
        .bind(Slot::Check.schema())
        .execute(&mut *transaction)
        .await?;
    set_search_path(&mut transaction, Slot::Check, None).await?;
    apply_session_settings(&mut transaction, settings).await?;
    let target = Target { projection, slot: Slot::Check };
    let last = live.high_watermark();
    let pages = log.pages(Position::ZERO, ReadFilter::default(), settings.batch_events);
    let (range, is_live) = ((Position::ZERO, last), |event: &RecordedEvent| live.has(event));
    let telling = |position| progress(RebuildProgress { position, head: last });
    apply_log::<RebuildError>(&target, &mut transaction, pages, range, is_live, telling).await?;
    let comparison = compare_slots(&mut transaction, projection, Slot::Check, last).await?;
    transaction.rollback().await?;
    Ok(comparison)
}

/// Makes the session one of another place. The locale is the first of the system's that is not the plain one.
async fn apply_session_settings(connection: &mut PgConnection, settings: &SessionSettings) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with abroad as (
             select coalesce((select collcollate from pg_collation
                              where collprovider = 'c' and collcollate not in ('C', 'POSIX') and collcollate <> ''
                                  and collencoding in (-1, pg_char_to_encoding(getdatabaseencoding()))
                              order by collcollate limit 1), 'C') as locale
         )
         select set_config('timezone', $1, true), set_config('datestyle', $2, true),
                set_config('lc_numeric', locale, true), set_config('lc_time', locale, true),
                set_config('lc_monetary', locale, true), set_config('bytea_output', 'escape', true)
         from abroad",
    )
    .bind(settings.time_zone)
    .bind(settings.date_style)
    .execute(connection)
    .await?;
    Ok(())
}
