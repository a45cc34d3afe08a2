//! The import of one file, with its progress bar, its messages and its counts.

use super::importers::{Importing, Target};
use super::inputs::{InputFile, names};
use crate::client::{Client, Content, UploadError};
use anyhow::Context as _;
use domain::{ImportId, error_with_causes};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use ingest::{
    Defaults, FileLine, FileStopped, Format, ImportCounts, ImportResult, ImportStopped, Importer, Input, Progress,
    Source, UnpricedCalls, open_path, recognise,
};
use serde::Serialize;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The counts of a file.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct FileCounts {
    file: String,
    #[serde(flatten)]
    pub(super) counts: ImportCounts,
    /// Why the file was not read to its end, or nothing in it was imported.
    error: Option<String>,
}

/// How the import of a file ended.
pub(super) enum Ending {
    /// The file was read to its end.
    Complete,
    /// The file contains no calls.
    NoCalls,
    /// The file was found in a folder, and is of no format or contains no calls.
    Skipped,
    /// The file could not be read to its end, or has another format.
    Unreadable,
    /// The log failed, so that no other file can be imported either.
    Stopped(anyhow::Error),
}

/// The maximum number of refusals shown per file; further ones are only counted.
const MAX_SHOWN_REFUSALS: u64 = 20;

impl FileCounts {
    pub(super) fn header() -> Vec<String> {
        ["file", "imported", "amended", "duplicate", "refused", "unpriced"].map(str::to_owned).to_vec()
    }

    pub(super) fn row(&self) -> Vec<String> {
        let ImportCounts { imported, amended, duplicate, refused, unpriced, .. } = self.counts;
        let counts = [imported, amended, duplicate, refused, unpriced].map(|count| HumanCount(count).to_string());
        std::iter::once(self.file.clone()).chain(counts).collect()
    }
}

/// Imports a file, in its format if none is given.
pub(super) async fn import_file(
    importing: &mut Importing<'_>,
    format: Option<Format>,
    defaults: &Defaults,
    input_file: &InputFile,
    unpriced: &mut UnpricedCalls,
) -> (FileCounts, Ending) {
    let file = input_file.path.display().to_string();
    if let Some(problem) = &input_file.problem {
        say!("error: {file}: {problem}");
        return (FileCounts { file, error: Some(problem.clone()), ..FileCounts::default() }, Ending::Unreadable);
    }
    let (format, input) = match open_as(&input_file.path, format).await {
        Ok((input, formats)) => match formats[..] {
            [format] => (format, input),
            _ => return not_recognised(file, &formats, input_file.is_in_folder),
        },
        Err(error) => {
            let error = format!("{error:#}");
            say!("error: {error}");
            return (FileCounts { file, error: Some(error), ..FileCounts::default() }, Ending::Unreadable);
        }
    };
    let (target, is_in_folder) = (importing.of(format), input_file.is_in_folder);
    import_input(target, format, defaults.clone(), file, input, is_in_folder, unpriced).await
}

/// Opens a file, with the formats that it may have.
async fn open_as(path: &Path, format: Option<Format>) -> anyhow::Result<(Input, Vec<Format>)> {
    let cannot = |what: &str| format!("{} cannot be {what}", path.display());
    let input = open_path(path.to_owned()).await.with_context(|| cannot("opened"))?;
    match format {
        Some(format) => Ok((input, vec![format])),
        None => recognise(input).await.with_context(|| cannot("read")),
    }
}

/// The result of a file that may have none of the formats, or several.
fn not_recognised(file: String, formats: &[Format], is_in_folder: bool) -> (FileCounts, Ending) {
    let (error, ending) = match formats {
        [] if is_in_folder => ("not recognised as a file of calls".to_owned(), Ending::Skipped),
        [] => {
            let formats = names(Format::ALL);
            let error = format!("the format is not recognised; name it: apex import FORMAT FILE, one of {formats}");
            (error, Ending::Unreadable)
        }
        several => {
            let error = format!("the format may be {}; name it: apex import FORMAT FILE", names(several));
            (error, Ending::Unreadable)
        }
    };
    let kind = if matches!(ending, Ending::Skipped) { "skipped" } else { "error" };
    say!("{kind}: {file}: {error}");
    (FileCounts { file, error: Some(error), ..FileCounts::default() }, ending)
}

/// Imports a sample that comes with the program.
///
/// # Errors
/// If it was not read to its end, or contains no calls.
pub(in crate::cli) async fn import_sample(
    importer: &mut Importer,
    format: Format,
    defaults: Defaults,
    name: String,
    input: Input,
) -> anyhow::Result<()> {
    let mut unpriced = UnpricedCalls::default();
    let (counts, ending) =
        import_input(Target::Database(importer), format, defaults, name, input, false, &mut unpriced).await;
    match ending {
        Ending::Complete => Ok(()),
        Ending::NoCalls | Ending::Skipped | Ending::Unreadable => {
            anyhow::bail!("{} was not imported completely", counts.file)
        }
        Ending::Stopped(error) => Err(error),
    }
}

/// Why a file was not read to its end.
enum Stop {
    /// It cannot be read any further.
    Input(String),
    /// A record could not be recorded.
    Record { location: String, error: anyhow::Error },
    /// Nothing more can be imported.
    Failed(anyhow::Error),
}

impl From<ImportStopped> for Stop {
    fn from(stopped: ImportStopped) -> Self {
        match stopped {
            ImportStopped::Input(error) => Self::Input(error_with_causes(&error)),
            ImportStopped::Record { location, error } => {
                Self::Record { location: location.to_string(), error: error.into() }
            }
            other => Self::Failed(other.into()),
        }
    }
}

impl From<FileStopped> for Stop {
    fn from(FileStopped { location, code, message, .. }: FileStopped) -> Self {
        match location {
            Some(location) => Self::Record { location, error: anyhow::Error::msg(message) },
            None if code == FileStopped::UNREADABLE => Self::Input(message),
            None => Self::Failed(anyhow::Error::msg(message)),
        }
    }
}

impl From<UploadError> for Stop {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Unreadable(message) => Self::Input(message),
            UploadError::Input(error) => Self::Input(error_with_causes(&error)),
            UploadError::Client(error) => Self::Failed(error.into()),
        }
    }
}

/// Imports an input at a server: the counts, and why it was not read to its end.
async fn import_at(
    (client, import_id): (&Client, ImportId),
    format: Format,
    defaults: &Defaults,
    content: Content,
    unpriced: &mut UnpricedCalls,
    mut on_progress: impl FnMut(Progress<'_>),
) -> (ImportCounts, Option<Stop>) {
    let mut parameters: Vec<_> = defaults.columns.texts().map(|column| ("column", column)).collect();
    let names = [("model", &defaults.model), ("provider", &defaults.provider), ("agent", &defaults.agent)];
    parameters.extend(names.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.to_string()))));
    parameters.extend(defaults.started_at.map(|at| ("at", at.to_rfc3339())));
    let mut counts = ImportCounts::default();
    let on_line = |line: FileLine| match line {
        FileLine::Counted { counts: counted } => {
            counts = counted;
            on_progress(Progress::Counted(&counts));
        }
        FileLine::Refused { number, reason } => on_progress(Progress::Refused { number, reason: &reason }),
        FileLine::Ignored { number, reason } => on_progress(Progress::Ignored { number, reason: &reason }),
        FileLine::Ended(_) => {}
    };
    let on_busy = || say!("The server imports as many files as it may at once; waiting.");
    let end = match client.import(import_id, (format.as_str(), &parameters), content, on_line, on_busy).await {
        Ok(end) => end,
        Err(error) => return (counts, Some(error.into())),
    };
    unpriced.merge(end.unpriced, &end.priced, end.has_more_unpriced);
    (end.counts, end.stopped.map(Stop::from))
}

/// Imports an opened input, shown as `file`.
async fn import_input(
    target: Target<'_>,
    format: Format,
    defaults: Defaults,
    file: String,
    input: Input,
    is_in_folder: bool,
    unpriced: &mut UnpricedCalls,
) -> (FileCounts, Ending) {
    let bar = progress_bar(&file, input.total_bytes);
    let read_bytes = input.read_bytes.clone();
    let on_progress = |progress: Progress<'_>| show(&bar, &file, read_bytes.load(Ordering::Relaxed), &progress);
    // An interruption drops this future, as it does with those of all subcommands.
    let (counts, stopped) = match target {
        Target::Database(importer) => {
            let source = Source { format, defaults, reader: input.reader };
            let result = ingest::import(importer, source, unpriced, on_progress, std::future::pending()).await;
            let ImportResult { counts, stopped } = result;
            (counts, stopped.map(Stop::from))
        }
        Target::Server(client, import_id) => {
            let content = Content { reader: input.reader, bytes: input.content_bytes };
            import_at((client, import_id), format, &defaults, content, unpriced, on_progress).await
        }
    };
    bar.finish_and_clear();
    if counts.recorded() > 0 && counts.other_format > 0 {
        let (skipped, format) = (HumanCount(counts.other_format), format.as_str());
        say!("skipped: {file}: {skipped} records that are not of the format {format}");
    }
    let (error, ending) = match stopped {
        None => match nothing_imported(format, &counts) {
            None => return (FileCounts { file, counts, error: None }, Ending::Complete),
            Some((error, _)) if is_in_folder && counts.refused == 0 => {
                say!("skipped: {file}: {error}");
                return (FileCounts { file, counts, error: Some(error) }, Ending::Skipped);
            }
            Some((error, ending)) => (error, ending),
        },
        Some(Stop::Input(error)) => {
            let recorded = counts.recorded();
            (format!("stopped after {recorded} records, which are kept: {error}"), Ending::Unreadable)
        }
        Some(Stop::Record { location, error }) => {
            let error = error.context(format!("{file} {location}"));
            return (FileCounts { file, counts, error: None }, Ending::Stopped(error));
        }
        Some(Stop::Failed(error)) => return (FileCounts { file, counts, error: None }, Ending::Stopped(error)),
    };
    say!("error: {file}: {error}");
    (FileCounts { file, counts, error: Some(error) }, ending)
}

/// Shows the progress of an import: some refusals, and the counts beside the bar.
fn show(bar: &ProgressBar, file: &str, read_bytes: u64, progress: &Progress<'_>) {
    match *progress {
        Progress::Counted(counts) => {
            bar.set_position(read_bytes);
            let (recorded, refused) = (HumanCount(counts.recorded()), HumanCount(counts.refused));
            bar.set_message(format!("{recorded} records, {refused} refused"));
        }
        Progress::Refused { number, reason } if number <= MAX_SHOWN_REFUSALS => {
            bar.suspend(|| say!("refused: {file}: {reason}"));
        }
        Progress::Refused { number, .. } if number == MAX_SHOWN_REFUSALS + 1 => {
            bar.suspend(|| say!("refused: {file}: further refusals are not shown"));
        }
        Progress::Ignored { number, reason } if number <= MAX_SHOWN_REFUSALS => {
            bar.suspend(|| say!("not read: {file}: {reason}; the rest of the record is imported"));
        }
        Progress::Ignored { number, .. } if number == MAX_SHOWN_REFUSALS + 1 => {
            bar.suspend(|| say!("not read: {file}: more of this kind is not shown"));
        }
        Progress::Refused { .. } | Progress::Ignored { .. } => {}
    }
}

/// The error of a file that was read to its end, but of which nothing was imported.
fn nothing_imported(format: Format, counts: &ImportCounts) -> Option<(String, Ending)> {
    let (format, refused) = (format.as_str(), counts.refused);
    match counts {
        _ if counts.recorded() > 0 => None,
        ImportCounts { not_calls: 1.., .. } if refused == 0 => {
            Some((format!("no calls: none of its {} records of {format} is a call", counts.not_calls), Ending::NoCalls))
        }
        ImportCounts { not_calls: 1.., .. } => None,
        ImportCounts { other_format: 1.., .. } => {
            let all = counts.other_format + refused;
            let error = format!("wrong format: none of its {all} records is of the format {format}");
            Some((error, Ending::Unreadable))
        }
        _ if refused > 0 => {
            let error = format!("wrong format? All of its {refused} records were refused as {format}");
            Some((error, Ending::Complete))
        }
        _ => Some(("no calls: the file has no records".to_owned(), Ending::NoCalls)),
    }
}

/// A progress bar on standard error; hidden if that is not a terminal.
fn progress_bar(file: &str, total_bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match total_bytes {
        Some(total) => {
            (ProgressBar::new(total), "{prefix} {wide_bar} {percent:>3} % {msg} {elapsed_precise} (ready in {eta})")
        }
        None => (ProgressBar::new_spinner(), "{prefix} {spinner} {bytes} {msg} {elapsed_precise}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.set_prefix(file.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
