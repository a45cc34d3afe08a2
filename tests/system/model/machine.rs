//! Executes the steps of a case on the log and on the model, and compares them.

use super::decisions::{self, Decisions};
use super::plan::{
    Crash, CrashKind, Entry, Expectation, Filter, PROCESSES, Plan, Reading, STREAMS, Sending, Step, TENANTS, What,
};
use super::process::{Bug, Process, Seen};
use super::reference::{Answer, Reference, Sent, Verdict, ensure, key};
use chrono::{TimeDelta, Utc};
use domain::TenantId;
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::{
    Append, AppendError, Appended, Expected, Metadata, NewEvent, Position, ReadFilter, RecordedEvent, RequestHash,
    StreamAppend, StreamKey, Version,
};
use testkit::{TIMEOUT, TestDatabase};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The beginning of every failure message, except for panics.
pub(super) const DISAGREES: &str = "the log differs from the model: ";

const CATEGORIES: [&str; 2] = ["task", "agent"];
/// Types of each category. All have the same payload.
const TYPES: [[&str; 2]; 2] = [["task.started", "task.progressed"], ["agent.paused", "agent.resumed"]];

/// A database that many cases use one after the other. Each continues the log of the one before, with new tenants.
pub(super) struct Bench {
    pub(super) runtime: Runtime,
    pub(super) database: TestDatabase,
    /// A connection with all rights, which belongs to no process.
    owner: PgConnection,
    options: PgConnectOptions,
    bug: Bug,
    /// They run from case to case, unless a case ends them.
    processes: Vec<Process>,
    seen: [Seen; PROCESSES],
}

impl Bench {
    pub(super) fn new(bug: Bug) -> Self {
        let runtime = Runtime::new().unwrap();
        let (database, owner) = runtime.block_on(async {
            let database = TestDatabase::new().await;
            let owner = database.owner().await;
            (database, owner)
        });
        let options = (*database.pool.connect_options()).clone();
        let mut bench =
            Self { runtime, database, owner, options, bug, processes: Vec::new(), seen: Default::default() };
        bench.processes = (0..PROCESSES).map(|index| bench.start(index)).collect();
        bench
    }

    /// Starts the process with an index. Its subscriber continues after the events that its predecessor has seen.
    fn start(&self, index: usize) -> Process {
        Process::start(index, self.options.clone(), self.bug, &self.seen[index])
    }

    /// Runs one case.
    pub(super) fn case(&mut self, steps: &[Step]) -> Verdict {
        let base = u64::try_from(self.head()).unwrap();
        let mut machine = Machine::new(self, base);
        let mut run = || {
            for (number, step) in steps.iter().enumerate() {
                machine.step(step).map_err(|wrong| format!("step {number}, {step:?}: {wrong}"))?;
            }
            machine.compare_all()
        };
        run().map_err(|wrong| {
            // Appends that are still in flight end with their processes.
            self.restart();
            format!("{DISAGREES}{wrong}")
        })
    }

    fn restart(&mut self) {
        self.processes.drain(..).for_each(Process::kill);
        self.wait_until_gone("model-%");
        // The next case starts with nothing seen.
        let head = u64::try_from(self.head()).unwrap();
        self.seen.iter().for_each(|seen| *seen.lock().unwrap() = vec![(head, Uuid::nil())]);
        self.processes = (0..PROCESSES).map(|index| self.start(index)).collect();
    }

    /// Kills the processes.
    pub(super) fn stop(mut self) -> (Runtime, TestDatabase) {
        self.processes.drain(..).for_each(Process::kill);
        (self.runtime, self.database)
    }

    fn head(&mut self) -> i64 {
        let query = sqlx::query_scalar("select position from apex.head").fetch_one(&mut self.owner);
        self.runtime.block_on(query).unwrap()
    }

    /// Waits until the database has closed all connections whose application name matches.
    fn wait_until_gone(&mut self, like: &str) {
        let started = Instant::now();
        loop {
            let query = "select count(*) from pg_stat_activity where datname = current_database()
                         and application_name like $1";
            let query = sqlx::query_scalar::<_, i64>(query).bind(like).fetch_one(&mut self.owner);
            if self.runtime.block_on(query).unwrap() == 0 {
                return;
            }
            assert!(started.elapsed() < TIMEOUT, "{like} still has connections");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Terminates the connections of a process and waits until they are closed.
    fn terminate_connections(&mut self, name: &str) {
        let query = "select count(*) filter (where pg_terminate_backend(pid, 10000)) from pg_stat_activity
                     where datname = current_database() and application_name = $1";
        let query = sqlx::query_scalar::<_, i64>(query).bind(name).fetch_one(&mut self.owner);
        self.runtime.block_on(query).unwrap();
    }

    /// Reads the log after a position with SQL of its own, not with the code under test.
    fn read(&mut self, after: u64) -> Vec<RecordedEvent> {
        let query = "select position, tenant_id, category, stream_id, version, event_id, type, schema_version,
                     payload::text as payload, metadata::text as metadata, recorded_at, content_hash
                     from apex.events where position > $1 order by position";
        let query = sqlx::query(query).bind(i64::try_from(after).unwrap()).fetch_all(&mut self.owner);
        self.runtime.block_on(query).unwrap().iter().map(recorded).collect()
    }
}

fn recorded(row: &PgRow) -> RecordedEvent {
    RecordedEvent {
        position: Position::from_i64(row.get("position")),
        stream: StreamKey {
            tenant: row.get::<&str, _>("tenant_id").parse().unwrap(),
            category: row.get::<&str, _>("category").into(),
            id: row.get("stream_id"),
        },
        version: Version::from_i64(row.get("version")),
        event_id: row.get("event_id"),
        name: row.get("type"),
        schema_version: row.get::<i16, _>("schema_version").try_into().unwrap(),
        payload: row.get("payload"),
        metadata: row.get("metadata"),
        recorded_at: row.get("recorded_at"),
        content_hash: row.get("content_hash"),
    }
}

/// Executes one case.
struct Machine<'a> {
    bench: &'a mut Bench,
    tenants: [TenantId; TENANTS],
    ids: [Uuid; STREAMS / 2],
    reference: Reference,
    /// All appends that were sent, whatever their outcome.
    sent: Vec<Append>,
    decisions: Decisions,
}

/// An append that was sent, whose response is awaited.
struct InFlight {
    append: Append,
    process: usize,
    answer: JoinHandle<Result<Appended, AppendError>>,
}

/// What a step sent.
#[derive(Default)]
struct AllInFlight {
    appends: Vec<InFlight>,
    decisions: Vec<decisions::InFlight>,
}

impl<'a> Machine<'a> {
    fn new(bench: &'a mut Bench, base: u64) -> Self {
        let tenant = |_| format!("t{}", Uuid::new_v4().simple()).parse().unwrap();
        let tenants: [TenantId; TENANTS] = std::array::from_fn(tenant);
        Self {
            bench,
            decisions: Decisions::new(tenants.clone()),
            tenants,
            ids: std::array::from_fn(|_| Uuid::new_v4()),
            reference: Reference { base, ..Reference::default() },
            sent: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) -> Verdict {
        match step {
            Step::Send(sendings) => {
                let in_flight = self.send_all(sendings);
                let answered = self.wait_for_all(in_flight, None);
                self.apply(answered)
            }
            Step::Crash(crash) => self.crash(crash),
            Step::Read { process, what } => self.read(*process, what),
        }
    }

    /// Creates the appends of a step, based on the log before the step, and sends them and the decisions.
    fn send_all(&mut self, sendings: &[Sending]) -> AllInFlight {
        let mut appends = Vec::new();
        let mut in_flight = AllInFlight::default();
        for Sending { process, what } in sendings {
            let request = match what {
                What::Decide { tenant, choice } => Some(self.decisions.request(*tenant, *choice)),
                What::DecideAgain { which, choice } => self.decisions.retry(*which, *choice),
                _ => {
                    appends.extend(self.appends(*process, what));
                    None
                }
            };
            in_flight.decisions.extend(request.map(|request| self.decide(*process, request)));
        }
        self.sent.extend(appends.iter().map(|(_, append)| append.clone()));
        in_flight.appends = appends.into_iter().map(|(process, append)| self.send(process, append)).collect();
        in_flight
    }

    fn decide(&mut self, process: usize, request: decisions::Request) -> decisions::InFlight {
        self.decisions.send(process, &self.bench.processes[process], request)
    }

    /// The appends that are sent, each with its process.
    fn appends(&self, process: usize, what: &What) -> Vec<(usize, Append)> {
        let earlier = |which: &u8| usize::from(*which).checked_rem(self.sent.len()).map(|index| &self.sent[index]);
        match what {
            What::New(plan) => vec![(process, self.append(plan))],
            What::Retry(which) => earlier(which).map(|earlier| (process, earlier.clone())).into_iter().collect(),
            What::Reuse(which) => {
                earlier(which).map(|earlier| (process, with_other_request(earlier))).into_iter().collect()
            }
            What::Twins(plan) => {
                let append = self.append(plan);
                vec![(process, append.clone()), ((process + 1) % PROCESSES, append)]
            }
            What::RetryWith(which, plan) => {
                earlier(which).map(|earlier| (process, self.with_other_streams(earlier, plan))).into_iter().collect()
            }
            What::Decide { .. } | What::DecideAgain { .. } => Vec::new(),
        }
    }

    /// A retry with the same target and the other streams of a plan, if the command may change others.
    fn with_other_streams(&self, append: &Append, plan: &Plan) -> Append {
        let mut plan = plan.clone();
        let tenant = self.tenants.iter().position(|tenant| *tenant == append.tenant);
        let target = &append.streams[0];
        let is_target = |stream: &usize| {
            let key = self.key(plan.tenant, *stream);
            key.category == target.category && key.id == target.id
        };
        let stream = (0..STREAMS).find(is_target);
        let (Some(tenant), Some(stream), true) = (tenant, stream, append.may_change_others) else {
            return append.clone();
        };
        plan.tenant = tenant;
        let first = Entry { stream, ..plan.entries[0].clone() };
        plan.entries.retain(|entry| entry.stream != stream);
        plan.entries.insert(0, first);
        Append { streams: self.append(&plan).streams, ..append.clone() }
    }

    fn send(&self, process: usize, append: Append) -> InFlight {
        let answer = self.bench.processes[process].send(append.clone());
        InFlight { append, process, answer }
    }

    /// Waits for the response of an append. `crashed` is the process that crashes in this step.
    fn wait_for(&self, one: InFlight, crashed: Option<usize>) -> Sent {
        let answer = self.bench.runtime.block_on(async { tokio::time::timeout(TIMEOUT, one.answer).await });
        let answer = match answer.expect("an append got no response in time") {
            Ok(result) => Answer::Received(result),
            Err(error) if error.is_cancelled() => Answer::Lost,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let may_be_unavailable = crashed == Some(one.process);
        Sent { append: one.append, answer, may_be_unavailable, may_be_busy: self.bench.processes[one.process].is_small }
    }

    /// Waits for all responses of a step, and records those to decisions. `crashed` is the process that crashes in it.
    fn wait_for_all(&mut self, in_flight: AllInFlight, crashed: Option<usize>) -> Verdict<Vec<Sent>> {
        let sent = in_flight.appends.into_iter().map(|one| self.wait_for(one, crashed)).collect();
        for one in in_flight.decisions {
            self.bench.runtime.block_on(self.decisions.wait_for(one, crashed))?;
        }
        Ok(sent)
    }

    fn apply(&mut self, sent: Verdict<Vec<Sent>>) -> Verdict {
        let written = self.bench.read(self.reference.head());
        self.reference.apply(&sent?, written)?;
        self.decisions.check(&self.reference.events)
    }

    fn crash(&mut self, crash: &Crash) -> Verdict {
        let place = crash.process;
        let in_flight = self.send_all(&crash.sendings);
        std::thread::sleep(Duration::from_micros(crash.after_us));
        let old = match crash.kind {
            CrashKind::Connections => None,
            CrashKind::Process | CrashKind::Handle => {
                let next = self.bench.start(place);
                Some(std::mem::replace(&mut self.bench.processes[place], next))
            }
        };
        let name = old.as_ref().map(|old| old.name.clone());
        let mut remains = None;
        match (crash.kind, old) {
            (CrashKind::Process, Some(old)) => old.kill(),
            (CrashKind::Handle, Some(old)) => {
                in_flight.appends.iter().filter(|one| one.process == place).for_each(|one| one.answer.abort());
                in_flight.decisions.iter().filter(|one| one.process == place).for_each(|one| one.answer.abort());
                remains = Some(old.abandon());
            }
            _ => self.bench.terminate_connections(&self.bench.processes[place].name.clone()),
        }
        let mut retries = AllInFlight::default();
        if crash.retries_at_once {
            let other = (place + 1) % PROCESSES;
            for one in in_flight.appends.iter().filter(|one| one.process == place) {
                retries.appends.push(self.send(other, one.append.clone()));
            }
            for one in in_flight.decisions.iter().filter(|one| one.process == place) {
                retries.decisions.push(self.decide(other, one.request.clone()));
            }
        }
        let mut answered = self.wait_for_all(in_flight, Some(place));
        if let Ok(answered) = &mut answered {
            answered.extend(self.wait_for_all(retries, None)?);
        }
        match name {
            Some(name) => self.bench.wait_until_gone(&name),
            // An append on a connection that was just terminated has an unknown outcome; later ones get a new connection.
            None => std::thread::sleep(Duration::from_millis(50)),
        }
        if let Some(remains) = remains {
            remains.shutdown_background();
        }
        self.apply(answered)
    }

    fn key(&self, tenant: usize, stream: usize) -> StreamKey {
        let category = CATEGORIES[stream % 2].into();
        StreamKey { tenant: self.tenants[tenant].clone(), category, id: self.ids[stream / 2] }
    }

    fn append(&self, plan: &Plan) -> Append {
        let entry = |entry: &Entry| {
            let StreamKey { category, id, .. } = self.key(plan.tenant, entry.stream);
            let current = self.reference.version(&self.key(plan.tenant, entry.stream));
            let expected = match entry.expected {
                Expectation::Any => Expected::Any,
                Expectation::Right => Expected::Exact(current.into()),
                Expectation::Off(by) => Expected::Exact(current.saturating_add_signed(by.into()).into()),
                Expectation::New => Expected::Exact(Version::ZERO),
            };
            let event = |(number, note): (usize, &String)| event(TYPES[entry.stream % 2][number % 2], note);
            let events = entry.notes.iter().enumerate().map(event).collect();
            StreamAppend { category, id, expected, events }
        };
        let command_id = Uuid::new_v4();
        let metadata = Metadata {
            actor: "model".to_owned(),
            command_id,
            correlation_id: command_id,
            causation_id: None,
            traceparent: None,
        };
        let tenant = self.tenants[plan.tenant].clone();
        let request = Some(RequestHash::of(command_id.as_bytes()));
        Append {
            tenant,
            metadata,
            request,
            streams: plan.entries.iter().map(entry).collect(),
            may_change_others: plan.may_change_others,
        }
    }

    fn filter(&self, filter: &Filter) -> ReadFilter {
        let event_type = |which: u8| TYPES[usize::from(which) % 2][usize::from(which / 2) % 2].to_owned();
        ReadFilter {
            tenant: filter.tenant.map(|tenant| self.tenants[tenant].clone()),
            category: filter.category.map(|category| CATEGORIES[category].to_owned()),
            types: filter.event_type.map(event_type).into_iter().collect(),
            stream_id: filter.stream.map(|stream| self.ids[stream / 2]),
        }
    }

    /// A position from before the first event of the case to after its last one.
    fn position(&self, which: u8) -> u64 {
        self.reference.base + u64::from(which) % (self.reference.events.len() as u64 + 2)
    }

    fn read(&self, process: usize, what: &Reading) -> Verdict {
        let faulty = self.bench.processes[process].log();
        let (log, reference, runtime) = (faulty.inner(), &self.reference, &self.bench.runtime);
        match what {
            Reading::After { from, filter, limit } => {
                let (from, filter) = (self.position(*from), self.filter(filter));
                let read = runtime.block_on(faulty.read_after(from.into(), &filter, *limit));
                same(&read, &reference.after(from, &filter, *limit))
            }
            Reading::Before { from, filter, limit } => {
                let (from, filter) = (self.position(*from), self.filter(filter));
                let mut read = runtime.block_on(log.read_before(from.into(), &filter, *limit)).unwrap();
                // The page is filled up with events of earlier cases.
                let expected = reference.before(from, &filter, *limit);
                ensure!(
                    read.iter().skip(expected.len()).all(|event| event.position.get() <= reference.base),
                    "{read:?}"
                );
                read.truncate(expected.len());
                same(&read, &expected)
            }
            Reading::Stream { tenant, stream, after, limit } => {
                let key = self.key(*tenant, *stream);
                let after = u64::from(*after) % (reference.version(&key) + 2);
                let read = runtime.block_on(log.read_stream(&key, after.into(), *limit)).unwrap();
                same(&read, &reference.stream(&key, after, *limit))
            }
            Reading::Time { event, shift_us } => {
                let events = &reference.events;
                let event = usize::from(*event).checked_rem(events.len()).map(|index| &events[index]);
                let moment = event.map_or(Utc::now(), |event| event.recorded_at) + TimeDelta::microseconds(*shift_us);
                let read = runtime.block_on(log.position_at(moment)).unwrap().get();
                let expected = reference.position_at(moment);
                // The last event of an earlier case may have been in the same microsecond.
                let is_right = read == expected || (expected == reference.base + 1 && read < expected);
                ensure!(is_right, "position {read} at {moment}, not {expected}");
                Ok(())
            }
            Reading::Receipt { command } => {
                match usize::from(*command).checked_rem(self.sent.len()).map(|index| &self.sent[index]) {
                    Some(append) => self.receipt(process, append),
                    None => Ok(()),
                }
            }
            Reading::Head => {
                let read = runtime.block_on(log.head()).unwrap().get();
                ensure!(read == reference.head(), "the head is at {read}, not at {}", reference.head());
                Ok(())
            }
        }
    }

    fn receipt(&self, process: usize, append: &Append) -> Verdict {
        let written = append.streams.iter().find(|stream| !stream.events.is_empty());
        let Some(written) = written else { return Ok(()) };
        let log = self.bench.processes[process].log().inner();
        let key = key(append, written);
        let read = log.receipt(&key, append.metadata.command_id);
        let read = self.bench.runtime.block_on(read).unwrap();
        let expected = self.reference.commands.get(&append.metadata.command_id);
        let is_other = read.as_ref().is_some_and(|receipt| receipt.is_for_different_request(append.request.as_ref()));
        let should_be = expected.is_some_and(|written| written.request != append.request);
        ensure!(is_other == should_be, "the receipt of {append:?} is of another request: {is_other}");
        let read = read.map(|receipt| (receipt.first.get(), receipt.last.get()));
        let expected = expected.map(|written| (written.first, written.last));
        ensure!(read == expected, "the receipt of {append:?} is {read:?}, not {expected:?}");
        Ok(())
    }

    /// Compares the whole log, its receipts and streams, and the events that subscribers saw with the model.
    fn compare_all(&mut self) -> Verdict {
        same(&self.bench.read(self.reference.base), &self.reference.events)?;
        let (base, everything) = (Position::from(self.reference.base), ReadFilter::default());
        for process in &self.bench.processes {
            let whole = process.log().read_after(base, &everything, 10_000);
            same(&self.bench.runtime.block_on(whole), &self.reference.events)?;
        }
        for (number, append) in self.sent.iter().enumerate() {
            self.receipt(number % PROCESSES, append)?;
        }
        self.compare_streams()?;
        let started = Instant::now();
        let expected: Vec<_> = self.reference.events.iter().map(|e| (e.position.get(), e.event_id)).collect();
        for seen in &self.bench.seen {
            let of_this_case = || -> Vec<_> {
                let seen = seen.lock().unwrap();
                seen.iter().filter(|(position, _)| *position > self.reference.base).copied().collect()
            };
            while of_this_case().len() < expected.len() && started.elapsed() < TIMEOUT {
                std::thread::sleep(Duration::from_millis(1));
            }
            let seen = of_this_case();
            ensure!(seen == expected, "a subscriber saw {seen:?}, not {expected:?}");
        }
        Ok(())
    }

    /// Compares the rows of streams: each has the version of its last event, and there are none without events.
    fn compare_streams(&mut self) -> Verdict {
        let tenants: Vec<_> = self.tenants.iter().map(TenantId::as_str).collect();
        let query = "select tenant_id, category, stream_id, version from apex.streams where tenant_id = any ($1)";
        let rows = sqlx::query(query).bind(&tenants).fetch_all(&mut self.bench.owner);
        let rows = self.bench.runtime.block_on(rows).unwrap();
        let row = |row: &PgRow| {
            let tenant: String = row.get("tenant_id");
            let category: Arc<str> = row.get::<&str, _>("category").into();
            let key = StreamKey { tenant: tenant.parse().unwrap(), category, id: row.get("stream_id") };
            (key, Version::from_i64(row.get("version")).get())
        };
        let rows: HashMap<_, _> = rows.iter().map(row).collect();
        ensure!(rows == self.reference.versions, "streams are {rows:?}, not {:?}", self.reference.versions);
        Ok(())
    }
}

fn same(read: &[RecordedEvent], expected: &[RecordedEvent]) -> Verdict {
    let positions = |events: &[RecordedEvent]| events.iter().map(|event| event.position.get()).collect::<Vec<_>>();
    let (at, expected_at) = (positions(read), positions(expected));
    ensure!(at == expected_at, "what was read is at {at:?}, not at {expected_at:?}");
    for (read, expected) in read.iter().zip(expected) {
        ensure!(read == expected, "what was read is {read:?}, not {expected:?}");
    }
    Ok(())
}

/// Another request under the same command id, with other event ids.
fn with_other_request(append: &Append) -> Append {
    let mut other = append.clone();
    other.request = Some(RequestHash::of(&[append.metadata.command_id.as_bytes(), b"other".as_slice()].concat()));
    for event in other.streams.iter_mut().flat_map(|stream| &mut stream.events) {
        event.event_id = Uuid::new_v4();
    }
    other
}

fn event(name: &'static str, note: &str) -> NewEvent {
    // Spaces that a JSON parser would not preserve show whether the bytes are stored unchanged.
    let payload = format!(
        "{{\"at\":  \"2023-11-16T18:17:03Z\", \"percent\": 5,\n \"text\":{}, \"reason\": null}}",
        serde_json::Value::from(note)
    );
    NewEvent { event_id: Uuid::new_v4(), name, schema_version: 1, payload }
}
