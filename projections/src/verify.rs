//! Verifying a live read model: the log is folded again, up to the position of the live tables, and both are compared.
//!
//! All of it is one transaction that is rolled back, so that an interruption leaves nothing behind. Neither workers nor
//! queries wait for it, but a switch does.

use crate::batch::apply_log;
use crate::compare::{Comparison, compare_slots};
use crate::decode::DecodedPages;
use crate::progress::Progress;
use crate::projection::Projection;
use crate::target::{Slot, Target};
use crate::transaction::{self, set_search_path};
use crate::versions::{RebuildError, RebuildProgress};
use domain::permissions::{Access, OperateProjections};
use sqlx::postgres::{PgConnection, PgPool};
use streams::{Log, Position, RecordedEvent};

/// The batch size and the session settings under which a verification folds the log. The rows must not depend on them.
#[derive(Debug, Clone, Copy)]
pub struct SessionSettings {
    /// The maximum number of events in a batch.
    pub batch_events: usize,
    /// The time zone of the session.
    pub time_zone: &'static str,
    /// The date style of the session.
    pub date_style: &'static str,
}

impl SessionSettings {
    /// Returns settings that differ from those of workers in everything that may differ.
    #[must_use]
    pub fn different_locale(batch_events: usize) -> Self {
        Self { batch_events, time_zone: "Asia/Kathmandu", date_style: "SQL, DMY" }
    }
}

/// Folds the log up to the position of a projection's live tables, and compares the result with them.
///
/// # Errors
/// [`RebuildError::VersionMismatch`] if the live tables belong to another version of the code, and the variants for a
/// failure of the database or the log.
pub async fn verify(
    access: &Access<OperateProjections>,
    pool: &PgPool,
    log: &Log,
    projection: &'static dyn Projection,
    settings: &SessionSettings,
) -> Result<Comparison, RebuildError> {
    verify_with_progress(access, pool, log, projection, settings, |_| {}).await
}

/// Does the same as [`verify`], and reports the progress after each batch.
///
/// # Errors
/// As [`verify`].
pub async fn verify_with_progress(
    _: &Access<OperateProjections>,
    pool: &PgPool,
    log: &Log,
    projection: &'static dyn Projection,
    settings: &SessionSettings,
    mut progress: impl FnMut(RebuildProgress),
) -> Result<Comparison, RebuildError> {
    let mut transaction = transaction::begin(pool).await?;
    // One snapshot for the checkpoints and the tables, however long the fold takes.
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *transaction).await?;
    let live = Progress::load(&mut transaction, projection.name()).await?;
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
    let head = live.high_watermark();
    let is_live = |event: &RecordedEvent| target.wants(event) && live.has(event);
    let pages = DecodedPages::new(log, Position::ZERO, Some(head), settings.batch_events, is_live);
    let progress = |position| progress(RebuildProgress { position, head });
    apply_log::<RebuildError>(&target, &mut transaction, pages, progress).await?;
    let comparison = compare_slots(&mut transaction, projection, Slot::Check, head).await?;
    transaction.rollback().await?;
    Ok(comparison)
}

/// Applies the settings to the session, and a locale other than `C` if the system has one.
async fn apply_session_settings(connection: &mut PgConnection, settings: &SessionSettings) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("session_settings.sql"))
        .bind(settings.time_zone)
        .bind(settings.date_style)
        .execute(connection)
        .await?;
    Ok(())
}
