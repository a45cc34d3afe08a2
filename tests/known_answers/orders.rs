//! The traces in shuffled order, and in two halves that two processes import at once.

use crate::{Trace, data, traces};
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};
use testkit::TestDatabase;
use uuid::Uuid;

/// What is known of each call, and to whom it belongs.
const CALLS: &str =
    "select call_id, concat_ws('|', agent_id, task_id, conversation, provider, model, started_at, usage,
    cost, reported_cost) from apex.calls order by call_id";

/// A number that shuffles what it is made from. Equal records have equal numbers, so that they stay in one file: some
/// records are told apart by how many equal ones are before them in their file.
fn number(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Keeps some spans of a document, in shuffled order.
fn shuffle_spans(document: &mut Value, keep: &impl Fn(u64) -> bool) {
    match document {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Array(spans) if name == "spans" => {
                        spans.retain(|span| keep(number(span.to_string())));
                        spans.sort_by_key(|span| number(span.to_string()));
                    }
                    value => shuffle_spans(value, keep),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| shuffle_spans(value, keep)),
        _ => {}
    }
}

/// Some records of a file, in shuffled order.
fn shuffled(name: &str, content: &str, keep: impl Fn(u64) -> bool) -> String {
    if name.ends_with(".json") {
        let mut document = serde_json::from_str(content).unwrap();
        shuffle_spans(&mut document, &keep);
        return document.to_string();
    }
    let header = usize::from(name.ends_with(".csv"));
    let mut lines: Vec<_> = content.lines().skip(header).filter(|line| keep(number(line))).collect();
    lines.sort_by_key(|line| number(line));
    content.lines().take(header).chain(lines).map(|line| format!("{line}\n")).collect()
}

/// Writes some records of a file, in shuffled order, to a file of the same name in a folder of its own.
fn write_shuffled(path: &Path, folder: PathBuf, keep: impl Fn(u64) -> bool) -> PathBuf {
    let name = path.file_name().unwrap().to_str().unwrap();
    let (mut content, bytes) = (String::new(), std::fs::read(path).unwrap());
    if name.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut content).unwrap();
    } else {
        content = String::from_utf8(bytes).unwrap();
    }
    let name = name.trim_end_matches(".gz");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(name), shuffled(name, &content, keep)).unwrap();
    folder.join(name)
}

/// The files that each process imports: of the whole trace, of the shuffled one, and of its two halves.
fn orders(path: &Path, folder: &Path) -> [Vec<Vec<PathBuf>>; 3] {
    if path.is_dir() {
        let mut files = ingest::files_in(path, &[]).unwrap();
        // Named one by one, a file that is not a trace is refused.
        files.retain(|file| file.extension().is_some_and(|extension| extension != "txt" && extension != "upstream"));
        let mut shuffled = files.clone();
        shuffled.sort_by_key(|file| number(file));
        let (left, right) = shuffled.split_at(shuffled.len() / 2);
        let halves = vec![left.to_vec(), right.to_vec()];
        return [vec![files], vec![shuffled], halves];
    }
    let write = |name: &str, keep: &dyn Fn(u64) -> bool| vec![write_shuffled(path, folder.join(name), keep)];
    let halves = [0, 1].map(|half| write(&format!("half-{half}"), &|number| number % 2 == half));
    [vec![vec![path.to_owned()]], vec![write("shuffled", &|_| true)], halves.into()]
}

/// Imports files of a trace.
async fn import(database: &TestDatabase, trace: &Trace, files: &[PathBuf]) {
    let files = files.iter().map(|file| file.to_str().unwrap());
    let arguments: Vec<_> = ["import"].into_iter().chain(trace.arguments.iter().copied()).chain(files).collect();
    let output = database.apex(&arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // Some records are refused, and a half may have no call.
    assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{}: {said}", trace.path);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the public traces: make known-answers"]
async fn public_traces_give_the_same_calls_and_owners_shuffled_and_in_halves_by_two_processes() {
    for trace in traces() {
        let folder = tempfile::tempdir().unwrap();
        let mut whole: Option<Vec<(Uuid, String)>> = None;
        for processes in orders(Path::new(&data(trace.path)), folder.path()) {
            let database = TestDatabase::new().await;
            futures::future::join_all(processes.iter().map(|files| import(&database, &trace, files))).await;
            let total = database.total().await;
            for (field, value) in trace.known.as_object().unwrap() {
                assert_eq!(&total[field], value, "{field} of {} by {} processes", trace.path, processes.len());
            }
            let calls: Vec<(Uuid, String)> = sqlx::query_as(CALLS).fetch_all(&database.pool).await.unwrap();
            let whole = whole.get_or_insert_with(|| calls.clone());
            let differing = whole.iter().zip(&calls).find(|(whole, call)| whole != call);
            assert!(*whole == calls, "{} by {} processes: {differing:?}", trace.path, processes.len());
        }
    }
}
