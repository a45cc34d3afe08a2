//! `POST /v1/ingest/{format}`: a file of any format that can be imported, or the body of a response as a provider sent it.

use super::admission::{admit, compression, content_length};
use super::answer::{self, NDJSON};
use super::failure::Failure;
use super::permits::{MAX_FILE_REQUESTS, TENANT_SHARE};
use super::upload::{self, Upload};
use crate::http::access;
use crate::http::body::Compression;
use crate::http::state::State;
use crate::requester::Requester;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, SubsecRound as _, Utc};
use domain::{ImportId, Name};
use ingest::{
    Columns, Defaults, FILE_LINES, FileEnd, FileLine, FileStopped, Format, ImportStopped, Importer, Input,
    MAX_DOCUMENT_BYTES, ReceiveError, Receiver, Source, receive_file, recognise, response_providers,
};
use metrics::counter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::mpsc;
use tracing::Instrument as _;

/// The name of the route under which the format of a file is recognised by its content.
const ANY: &str = "file";
/// The most bytes of a file that was compressed, after decompression: 16 MiB, as of an export of OpenTelemetry.
const MAX_DECOMPRESSED_BYTES: u64 = 16 * 1024 * 1024;
/// How many bytes a byte of gzip may become. The bodies of responses in a recording may be compressed.
const MAX_GZIP_RATIO: u64 = 1032;

/// What is imported.
struct Wanted {
    /// The format; none if it is recognised.
    format: Option<Format>,
    defaults: Defaults,
}

pub(super) async fn receive(
    state: &Arc<State>,
    requester: &Requester,
    import_id: &mut Option<ImportId>,
    (name, pairs): (&str, Vec<(String, String)>),
    request: Request,
) -> Result<Response, Failure> {
    admit(state, requester, Receiver::authorise)?;
    let wanted = wanted(name, pairs)?;
    let compression = compression(request.headers())?;
    let max_bytes = max_memory_bytes(wanted.format, compression, content_length(request.headers()));
    let permit = state.ingest_permits.file(requester.principal.tenant(), max_bytes).ok_or_else(|| {
        Failure::busy(format!(
            "{MAX_FILE_REQUESTS} files are being imported, or files of 1 GiB, or a tenant has 1/{TENANT_SHARE} of that, which \
             is the limit: retry"
        ))
    })?;
    let reads_lines = accepts_lines(request.headers());
    let (importer, upload) =
        upload::begin(state, requester, import_id, request, (compression, MAX_DECOMPRESSED_BYTES)).await?;
    let (lines, received) = mpsc::channel(FILE_LINES);
    let has_begun = Arc::new(AtomicBool::new(reads_lines));
    let import = Import { state: state.clone(), requester: requester.clone(), upload, has_begun: has_begun.clone() };
    let work = async move {
        let _permit = permit;
        import.run(importer, wanted, lines).await
    };
    let worker = tokio::spawn(state.connections.track_future(work.in_current_span()));
    if reads_lines {
        answer::respond(received, worker, |_| {}).await
    } else {
        answer::respond_at_end(received, worker, &has_begun, |_| {}).await
    }
}

/// Whether a client reads the lines of the response. Other clients, such as callbacks of gateways, read its status.
fn accepts_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|media_type| media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(NDJSON))
}

/// The most memory that the content of a file takes at once, in bytes. A file of lines can be longer than that, and is read in
/// bounded memory.
fn max_memory_bytes(format: Option<Format>, compression: Compression, length: Option<u64>) -> u64 {
    const MAX_DOCUMENT: u64 = MAX_DOCUMENT_BYTES as u64;
    let content = match (compression, length) {
        (Compression::Gzip | Compression::Zstd, _) => MAX_DECOMPRESSED_BYTES,
        (Compression::None, Some(length)) => length,
        (Compression::None, None) => MAX_DOCUMENT,
    };
    match format {
        // An archive of Inspect has documents that are compressed, and so may a file of which the format is not known yet.
        None | Some(Format::Inspect) => MAX_DOCUMENT,
        Some(Format::Responses) => content.saturating_mul(MAX_GZIP_RATIO).min(MAX_DOCUMENT),
        Some(_) => content.min(MAX_DOCUMENT),
    }
}

/// An import of a body.
struct Import {
    state: Arc<State>,
    requester: Requester,
    upload: Upload,
    /// Whether the head of the response is sent, or will be before the result is known.
    has_begun: Arc<AtomicBool>,
}

impl Import {
    async fn run(self, importer: Importer, wanted: Wanted, lines: mpsc::Sender<FileLine>) -> Result<(), Failure> {
        let Self { state, requester, upload: Upload { reader, fault }, has_begun } = self;
        let source = open(wanted, reader).await.map_err(|failure| fault.get().unwrap_or(failure))?;
        let format = source.format;
        let response = lines.clone();
        let (mut end, stopped) = receive_file(importer, source, &lines, async move { response.closed().await }).await;
        count(format, &end);
        if let Some(stopped) = stopped {
            let is_of_content = matches!(stopped, ImportStopped::Input(_)) && fault.get().is_none();
            let (location, failure) = failure(&state, &requester, stopped);
            // What ended the body is why it cannot be read.
            let failure = fault.get().unwrap_or(failure);
            let is_told_by_status = if is_of_content {
                // What was read counts, and a retry gets no further.
                end.counts.recorded() + end.counts.refused == 0
            } else {
                // All of it can be sent again.
                !has_begun.load(Ordering::Relaxed)
            };
            if is_told_by_status {
                return Err(failure);
            }
            let Failure { code, message, retry_after_s, .. } = failure;
            end.stopped = Some(FileStopped { location, code: code.to_owned(), message, retry_after_s });
        }
        // An error means that the client is gone.
        drop(lines.send(FileLine::Ended(Box::new(end))).await);
        Ok(())
    }
}

/// Why a file was not read to its end, as its sender is told, and the location of the record that could not be recorded.
fn failure(state: &State, requester: &Requester, stopped: ImportStopped) -> (Option<String>, Failure) {
    match stopped {
        ImportStopped::Input(error) => (None, unreadable(domain::error_with_causes(&error))),
        ImportStopped::Record { location, error } => {
            let error = ReceiveError::of_import(error);
            if let ReceiveError::Forbidden(forbidden) = &error {
                access::forbidden(state, requester, forbidden);
            }
            (Some(location.to_string()), Failure::from(&error))
        }
        ImportStopped::Report(error) => (None, Failure::internal(&error)),
        ImportStopped::Cancelled => (None, Failure::unavailable("the import was cancelled; retry")),
    }
}

fn unreadable(message: String) -> Failure {
    Failure::of(StatusCode::BAD_REQUEST, FileStopped::UNREADABLE, message)
}

/// The content, in its format.
async fn open(wanted: Wanted, reader: Box<dyn std::io::Read + Send>) -> Result<Source, Failure> {
    let Wanted { format, defaults } = wanted;
    if let Some(format) = format {
        return Ok(Source { format, defaults, reader });
    }
    let input = Input { reader, total_bytes: None, content_bytes: None, read_bytes: Arc::new(AtomicU64::new(0)) };
    let (input, formats) = recognise(input).await.map_err(|error| unreadable(error.to_string()))?;
    match formats[..] {
        [format] => Ok(Source { format, defaults, reader: input.reader }),
        [] => Err(unreadable("the format is not recognised: name it in the path, as in /v1/ingest/litellm".to_owned())),
        _ => {
            let names: Vec<_> = formats.iter().map(|format| format.as_str()).collect();
            Err(unreadable(format!("the format may be {}: name it in the path", names.join(", "))))
        }
    }
}

/// What the path and the parameters of a request ask for.
fn wanted(name: &str, pairs: Vec<(String, String)>) -> Result<Wanted, Failure> {
    let bad = |message: String| Failure::of(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", message);
    let (mut defaults, mut columns) = (Defaults::default(), Vec::new());
    for (field, value) in pairs {
        let named = || Name::new(value.as_str()).map_err(|error| bad(format!("{field}: {error}")));
        match field.as_str() {
            "model" => defaults.model = Some(named()?),
            "provider" => defaults.provider = Some(named()?),
            "agent" => defaults.agent = Some(named()?),
            "at" => {
                let at = DateTime::parse_from_rfc3339(&value).map_err(|error| bad(format!("at: {error}")))?;
                defaults.started_at = Some(at.to_utc());
            }
            "column" => columns.push(value),
            _ => {
                let known = "model, provider, agent, at, and column";
                return Err(bad(format!("there is no parameter {field:?}; parameters are {known}")));
            }
        }
    }
    defaults.columns = Columns::parse(&columns).map_err(|error| bad(format!("column: {error}")))?;
    let format = Format::ALL.iter().copied().find(|format| format.as_str() == name);
    if name == ANY || format.is_some() {
        return Ok(Wanted { format, defaults });
    }
    let Some(provider) = response_providers().find(|provider| *provider == name) else {
        let formats: Vec<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
        let providers: Vec<_> = response_providers().collect();
        let message = format!(
            "there is no format {:?}; formats are {ANY}, {}, and the responses of {}",
            name.chars().take(64).collect::<String>(),
            formats.join(", "),
            providers.join(", ")
        );
        return Err(Failure::of(StatusCode::NOT_FOUND, "UNKNOWN_FORMAT", message));
    };
    defaults.api = Name::new(provider).ok();
    // A response that is sent as it comes and states no time was received now.
    defaults.started_at.get_or_insert_with(|| Utc::now().trunc_subsecs(6));
    Ok(Wanted { format: Some(Format::Responses), defaults })
}

fn count(format: Format, end: &FileEnd) {
    let counts = &end.counts;
    let by_outcome = [
        ("created", counts.imported),
        ("updated", counts.amended),
        ("unchanged", counts.duplicate),
        ("refused", counts.refused),
    ];
    for (outcome, count) in by_outcome.into_iter().filter(|(_, count)| *count > 0) {
        counter!("apex_ingest_records_total", "form" => format.as_str(), "outcome" => outcome).increment(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn the_path_names_a_format_or_a_provider() {
        for format in Format::ALL {
            assert_eq!(wanted(format.as_str(), Vec::new()).unwrap().format, Some(*format));
        }
        assert_eq!(wanted("file", Vec::new()).unwrap().format, None);
        let anthropic = wanted("anthropic", Vec::new()).unwrap();
        assert_eq!(anthropic.format, Some(Format::Responses));
        assert_eq!(anthropic.defaults.api.as_ref().map(Name::as_str), Some("anthropic"));
        assert!(anthropic.defaults.started_at.is_some());
        let unknown = wanted("excel", Vec::new()).err().unwrap();
        assert!(unknown.status == StatusCode::NOT_FOUND && unknown.message.contains("claude-code"), "{unknown:?}");
    }

    #[test]
    fn what_may_be_compressed_counts_for_what_it_may_become() {
        const MIB: u64 = 1024 * 1024;
        let bytes = |format, length| max_memory_bytes(format, Compression::None, length);
        assert_eq!(bytes(Some(Format::LiteLlm), Some(5 * MIB)), 5 * MIB);
        assert_eq!(bytes(Some(Format::LiteLlm), Some(u64::MAX)), 256 * MIB);
        assert_eq!(bytes(Some(Format::LiteLlm), None), 256 * MIB);
        assert_eq!(bytes(Some(Format::Responses), Some(2000)), 2000 * MAX_GZIP_RATIO);
        assert_eq!(bytes(Some(Format::Responses), Some(u64::MAX)), 256 * MIB);
        assert_eq!([bytes(Some(Format::Inspect), Some(1)), bytes(None, Some(1))], [256 * MIB; 2]);
        assert_eq!(max_memory_bytes(Some(Format::LiteLlm), Compression::Gzip, Some(1)), MAX_DECOMPRESSED_BYTES);
    }

    #[test]
    fn clients_that_read_lines_say_so() {
        let accepts = |value: &str| accepts_lines(&HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())]));
        assert!(accepts("application/x-ndjson") && accepts("text/plain, Application/X-NDJSON;q=0.5"));
        assert!(!accepts("*/*") && !accepts("application/json") && !accepts_lines(&HeaderMap::new()));
    }

    #[test]
    fn parameters_are_the_options_of_the_command_line() {
        let pairs = vec![pair("model", "m"), pair("at", "2025-05-01T10:00:00Z"), pair("column", "input=tokens")];
        let defaults = wanted("csv", pairs).unwrap().defaults;
        assert!(defaults.model.is_some() && defaults.started_at.is_some());
        for (name, value) in [("modle", "m"), ("model", " "), ("at", "today"), ("column", "x"), ("column", "nothing=a")]
        {
            let refused = wanted("csv", vec![pair(name, value)]).err().unwrap();
            assert!(refused.status == StatusCode::BAD_REQUEST && refused.message.contains(name), "{refused:?}");
        }
    }
}
