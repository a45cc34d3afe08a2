//! `POST /v1/ingest/{format}`: a file of any format that can be imported, or the body of a response as a provider sent it.

use super::admission::{admit, paid};
use super::answer;
use super::failure::Failure;
use super::upload::{Reading, Upload};
use crate::http::body::{Compression, UNKNOWN_COMPRESSION};
use crate::http::state::State;
use crate::requester::Requester;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, SubsecRound as _, Utc};
use domain::Name;
use ingest::{
    Columns, Defaults, FILE_LINES, FileEnd, FileLine, Format, ImportStopped, Input, MAX_DOCUMENT_BYTES, Receiver,
    Source, receive_file, recognise, response_providers,
};
use metrics::counter;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::mpsc;
use tracing::Instrument as _;

/// The name of the route under which the format of a file is recognised by its content.
const ANY: &str = "file";
/// The most bytes of a file that was compressed, after decompression: 16 MiB, as of an export of OpenTelemetry.
const MAX_DECOMPRESSED_BYTES: u64 = 16 * 1024 * 1024;

/// What is imported.
struct Wanted {
    /// The format; none if it is recognised.
    format: Option<Format>,
    defaults: Defaults,
}

pub(super) async fn receive(
    state: &Arc<State>,
    requester: &Requester,
    name: &str,
    pairs: Vec<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    admit(state, requester, Receiver::authorise)?;
    let wanted = wanted(name, pairs)?;
    let compression = Compression::of(request.headers()).ok_or_else(|| {
        Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", UNKNOWN_COMPRESSION)
    })?;
    let length = content_length(request.headers());
    let max_bytes = match (compression, length) {
        (Compression::Gzip | Compression::Zstd, _) => MAX_DECOMPRESSED_BYTES,
        (Compression::None, Some(length)) => length,
        // A whole document is in memory; a file of lines can be longer than that, and is read in bounded memory.
        (Compression::None, None) => MAX_DOCUMENT_BYTES as u64,
    };
    let permit = state.ingest_permits.file(max_bytes.min(MAX_DOCUMENT_BYTES as u64)).ok_or_else(|| {
        Failure::busy("the files that are being imported may have 1 GiB together, which is the limit: retry")
    })?;
    let is_paid = paid(state, requester, request.headers())?;
    let importer = state.receiver.importer(requester.principal.clone()).await.map_err(|error| Failure::from(&error))?;
    let max_bytes = (compression != Compression::None).then_some(MAX_DECOMPRESSED_BYTES);
    let reading = Reading { compression, max_bytes, is_paid };
    let Upload { reader, fault } = Upload::open(state, requester, request.into_body(), reading);
    let (lines, received) = mpsc::channel(FILE_LINES);
    let work = async move {
        let _permit = permit;
        let failed = |failure: Failure| fault.get().unwrap_or(failure);
        let source = open(wanted, reader).await.map_err(failed)?;
        let format = source.format;
        let gone = lines.clone();
        let (end, stopped) = receive_file(importer, source, &lines, async move { gone.closed().await }).await;
        count(format, &end);
        // A file of which nothing was read is an error of the request; else what was read counts.
        if let (Some(stopped), 0) = (&stopped, end.counts.recorded() + end.counts.refused) {
            return Err(failed(failure(stopped)));
        }
        let end = FileEnd { stopped: end.stopped.map(|told| reason(told, fault.get())), ..end };
        drop(lines.send(FileLine::Ended(Box::new(end))).await);
        Ok(())
    };
    let worker = tokio::spawn(state.connections.track_future(work.in_current_span()));
    answer::respond(received, worker, |_| {}).await
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What ended the body is why it cannot be read.
fn reason(told: ingest::FileStopped, fault: Option<Failure>) -> ingest::FileStopped {
    match fault {
        Some(fault) => ingest::FileStopped { location: told.location, message: fault.message },
        None => told,
    }
}

/// The failure of a request of which nothing was recorded.
fn failure(stopped: &ImportStopped) -> Failure {
    match stopped {
        ImportStopped::Input(error) => {
            let message = domain::error_with_causes(error);
            Failure::of(StatusCode::BAD_REQUEST, "UNREADABLE", message)
        }
        ImportStopped::Record { error, .. } => {
            tracing::warn!(error = error as &dyn std::error::Error, "a file was not imported");
            match error {
                ingest::ImportError::Call(error) if !error.is_retryable() => refused(error),
                ingest::ImportError::Trace(error) if !error.is_retryable() => refused(error),
                _ => Failure::unavailable("the log is busy or unreachable; retry"),
            }
        }
        ImportStopped::Report(error) => Failure::internal(error),
        ImportStopped::Cancelled => Failure::unavailable("the import was cancelled"),
    }
}

fn refused<E: std::error::Error + 'static>(error: &commands::Error<E>) -> Failure {
    match error {
        commands::Error::Forbidden(forbidden) => Failure::of(StatusCode::FORBIDDEN, "FORBIDDEN", forbidden.to_string()),
        error => Failure::internal(error),
    }
}

/// The content, in its format.
async fn open(wanted: Wanted, reader: Box<dyn std::io::Read + Send>) -> Result<Source, Failure> {
    let Wanted { format, defaults } = wanted;
    if let Some(format) = format {
        return Ok(Source { format, defaults, reader });
    }
    let input = Input { reader, total_bytes: None, read_bytes: Arc::new(AtomicU64::new(0)) };
    let unreadable = |message: String| Failure::of(StatusCode::BAD_REQUEST, "UNREADABLE", message);
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
