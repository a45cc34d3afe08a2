//! The limits of schedules.

/// The last day of a month on which a schedule can run: every month has it.
pub const MAX_DAY_OF_MONTH: u8 = 28;
/// The longest delay of a run, in minutes: 28 days.
pub const MAX_DELAY_MINUTES: u32 = 28 * 24 * 60;
/// The maximum number of dimensions of a report.
pub const MAX_DIMENSIONS: usize = 8;
/// The maximum number of filters of a report.
pub const MAX_SCHEDULED_FILTERS: usize = 50;
/// The maximum length of a pattern of names of files, in bytes.
pub const MAX_PATTERN_BYTES: usize = 120;
/// The maximum length of the names that a pattern gives, in bytes: that of file systems.
pub const MAX_FILE_NAME_BYTES: usize = 255;
/// How many requested runs of a schedule may wait for their first attempt.
pub const MAX_WAITING_REQUESTS: usize = 100;
/// How many runs a schedule remembers, so that one that is made again is recognised.
pub const MAX_REMEMBERED_RUNS: usize = 100;
/// How many missed runs are made up for, one after the other; earlier ones are skipped, and named.
pub const MAX_CATCH_UP_RUNS: usize = 31;
