//! Records the lines of an input, many at a time, and answers them in their order.

use super::answer::{LineAnswer, LineRefusal, LineStatus};
use super::error::{LineError, MAX_MESSAGE_BYTES};
use super::line::{Line, Numbered, ParsedLines};
use super::recorder::{Applied, NotRecorded, Recorder};
use super::waiting::AnswerSender;
use crate::error::InputError;
use crate::importer::{Importer, MAX_IN_FLIGHT};
use crate::receiver::ReceiveError;
use crate::text::clip;
use crate::window::Window;
use std::collections::{HashSet, VecDeque};
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use uuid::Uuid;

/// How many parsed lines wait to be recorded.
const MAX_WAITING: usize = 256;

/// How long a line may take to be recorded. Clients give up on a connection that takes nothing for half a minute, which may have
/// begun before the line did: the body is read in parts. It is less than the head of a response waits for the first answer, so that
/// its status tells of a log that fails from the first line on.
const LINE_TIMEOUT: Duration = Duration::from_secs(15);

/// Why not all lines were answered. Those without an answer may be recorded; sending them again changes nothing about that.
#[derive(Debug, Error)]
pub enum LinesStopped {
    /// The input cannot be read any further.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] ReceiveError),
    /// A line could not be processed.
    #[error("a line could not be processed")]
    Line(#[from] JoinError),
    /// The client does not read the answers.
    #[error("the answers are not read")]
    NotRead,
}

/// Records all lines of an input, and sends the answer to each, in order.
///
/// # Errors
/// [`LinesStopped`] if not every line was answered. Everything that was answered is in the log.
pub async fn receive_lines(
    importer: Importer,
    input: Box<dyn Read + Send>,
    answers: AnswerSender,
) -> Result<(), LinesStopped> {
    let mut lines = spawn_reader(input);
    let mut run = Run {
        recorder: Arc::new(Recorder::new(importer)),
        answers,
        in_flight: VecDeque::new(),
        weight_in_flight: 0,
        window: Window::new(MAX_IN_FLIGHT),
        busy: HashSet::new(),
    };
    let received = run.receive(&mut lines).await;
    // The reader's thread blocks while the channel is full; this ends it.
    drop(lines);
    // What is being recorded may be recorded, and is not answered.
    run.in_flight.iter().for_each(|sent| sent.task.abort());
    received
}

type LineReceiver = mpsc::Receiver<Result<Numbered, InputError>>;

/// Reads and parses on a thread of its own. The capacity of the channel limits how far it reads ahead.
fn spawn_reader(input: Box<dyn Read + Send>) -> LineReceiver {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    tokio::task::spawn_blocking(move || {
        for line in ParsedLines::new(input) {
            let is_last = line.is_err();
            // An error here means that nobody receives any more.
            if sender.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

/// A line that is being recorded.
struct Sent {
    number: u64,
    weight: usize,
    at: Instant,
    /// The object whose lines are recorded in order.
    object: Option<Uuid>,
    task: JoinHandle<Result<Applied, NotRecorded>>,
}

struct Run {
    recorder: Arc<Recorder>,
    answers: AnswerSender,
    in_flight: VecDeque<Sent>,
    weight_in_flight: usize,
    window: Window,
    /// The objects of lines in flight whose lines are recorded in order.
    busy: HashSet<Uuid>,
}

impl Run {
    async fn receive(&mut self, lines: &mut LineReceiver) -> Result<(), LinesStopped> {
        // A line that waits for an earlier one of its object.
        let mut waiting: Option<(u64, Line)> = None;
        let (mut is_read, mut failed) = (false, None);
        loop {
            if let Some((number, line)) = waiting.take() {
                if self.busy.contains(&line.in_order_of()) {
                    waiting = Some((number, line));
                } else {
                    self.start(number, Ok(line));
                }
            }
            let may_read = !is_read && waiting.is_none() && self.window.is_open(self.weight_in_flight);
            tokio::select! {
                biased;
                Some(recorded) = first(&mut self.in_flight) => self.answer(recorded).await?,
                line = lines.recv(), if may_read => match line {
                    None => is_read = true,
                    Some(Err(error)) => (is_read, failed) = (true, Some(error)),
                    Some(Ok((number, Ok(line)))) => waiting = Some((number, line)),
                    Some(Ok((number, Err(refused)))) => self.start(number, Err(refused)),
                },
                else => break,
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn start(&mut self, number: u64, line: Result<Line, LineError>) {
        let object = line.as_ref().ok().map(Line::in_order_of);
        let weight = line.as_ref().map_or(1, Line::weight);
        self.busy.extend(object);
        self.weight_in_flight += weight;
        let recorder = self.recorder.clone();
        let task = tokio::spawn(async move {
            match line {
                Ok(line) => match tokio::time::timeout(LINE_TIMEOUT, line.record(&recorder)).await {
                    Ok(recorded) => recorded,
                    Err(late) => Err(NotRecorded::Failed(ReceiveError::Unavailable(late.into()))),
                },
                Err(refused) => Err(NotRecorded::Refused(refused)),
            }
        });
        self.in_flight.push_back(Sent { number, weight, at: Instant::now(), object, task });
    }

    /// Answers the first line in flight.
    async fn answer(&mut self, recorded: Result<Result<Applied, NotRecorded>, JoinError>) -> Result<(), LinesStopped> {
        let Some(Sent { number: line, weight, at, object, .. }) = self.in_flight.pop_front() else { return Ok(()) };
        self.weight_in_flight -= weight;
        self.window.took(at.elapsed());
        object.iter().for_each(|object| _ = self.busy.remove(object));
        let answer = match recorded? {
            Ok(Applied { id, is_new, is_changed, position }) => {
                let status = match (is_new, is_changed) {
                    (true, _) => LineStatus::Created,
                    (false, true) => LineStatus::Updated,
                    (false, false) => LineStatus::Unchanged,
                };
                LineAnswer { line, status, id: Some(id), position: Some(position.to_string()), error: None }
            }
            Err(NotRecorded::Refused(error)) => {
                let message = clip(&error.to_string(), MAX_MESSAGE_BYTES).to_owned();
                let error = LineRefusal { code: error.code(), message };
                LineAnswer { line, status: LineStatus::Refused, id: None, position: None, error: Some(error) }
            }
            Err(NotRecorded::Failed(error)) => return Err(error.into()),
        };
        self.answers.send(answer).await.ok_or(LinesStopped::NotRead)
    }
}

/// The result of the first line in flight; none if there is none.
async fn first(in_flight: &mut VecDeque<Sent>) -> Option<Result<Result<Applied, NotRecorded>, JoinError>> {
    Some((&mut in_flight.front_mut()?.task).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<A, F>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    /// Each line in flight is a task, and its future is moved a few times before it runs: what is large and rare is boxed.
    #[test]
    fn recording_a_line_is_a_small_future() {
        let bytes = future_bytes(|(line, recorder): (Line, &'static Recorder)| line.record(recorder));
        assert!(bytes <= 6 * 1024, "{bytes}");
    }
}
