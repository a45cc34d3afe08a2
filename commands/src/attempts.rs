//! The attempts of a command: load, decide, append, and retry when another writer was faster.
//!
//! A decision is made while the cache entries of all its aggregates are locked, and its append is submitted before they are
//! unlocked: see [`crate::locks`]. So decisions of this process are in one order for all aggregates, and each builds on those
//! before it, committed or not. If an append is not written, those that build on it are undone with it: see
//! [`streams::Chains`].

use crate::append::build_append;
use crate::cache::{CacheEntry, CommitWatch, Newest};
use crate::context::Context;
use crate::error::{Error, Rejection};
use crate::kind::{AggregateKey, AnyLoaded};
use crate::loader::{Entries, Loader};
use crate::locks::{Found, Locks};
use crate::outcome::{Executed, OutcomeKind};
use crate::retry::{backoff, last_error};
use crate::states::{MAX_DECISION_AGGREGATES, Member, States, Undecided, WrongVersion};
use domain::EncodeError;
use futures::future::{BoxFuture, try_join_all};
use rand::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use streams::{AppendError, Appended, Chains, PendingAppend, Position};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

/// A decision function of any type of rejection.
pub(crate) trait DecideFn: Fn(&mut States) -> Result<(), Undecided<Rejection>> + Send + Sync {}

impl<F: Fn(&mut States) -> Result<(), Undecided<Rejection>> + Send + Sync> DecideFn for F {}

/// A command to execute.
#[derive(Clone)]
pub(crate) struct Execution<'a> {
    pub(crate) context: &'a Context,
    pub(crate) target: AggregateKey,
    /// Whether the decision may change other aggregates than the target.
    pub(crate) may_change_others: bool,
    /// The aggregates that the first attempt takes for new instead of reading them.
    pub(crate) assume_new: &'a [AggregateKey],
    pub(crate) decide: &'a dyn DecideFn,
}

/// The result of a decision on the newest states.
enum Decision {
    /// There are events, and their append was submitted.
    Submitted(SubmittedDecision),
    /// There is nothing to append. Reports when the states that were decided on are committed.
    NoEvents(Vec<CommitWatch>),
    /// The decision needs these aggregates, of which some have to be loaded.
    NotLoaded(Vec<AggregateKey>),
}

/// A decision whose append was submitted.
struct SubmittedDecision {
    append: PendingAppend,
    /// The target after the decision. Its position is not known yet if it has uncommitted events.
    target: AnyLoaded,
    /// Reports the position of the target if the decision only reads it and another one, which is not committed yet,
    /// has changed it.
    target_committed: Option<CommitWatch>,
    changes: Vec<Change>,
}

/// A change of one aggregate that is not committed yet.
struct Change {
    key: AggregateKey,
    entry: Arc<CacheEntry>,
    member: Member,
    /// Sends the position to those who wait for the commit.
    committed: watch::Sender<Option<Position>>,
}

/// Executes commands of any type; cheap to clone.
#[derive(Clone)]
pub(crate) struct Attempts {
    pub(crate) loader: Loader,
    /// The time after which no further attempt of a command is started.
    pub(crate) deadline: Duration,
}

impl Attempts {
    /// Executes a command in as many attempts as it takes until the deadline.
    ///
    /// Boxed: the code of an `async fn` is generated in each crate that calls it.
    pub(crate) fn execute<'a>(&'a self, execution: Execution<'a>) -> BoxFuture<'a, Result<Executed, Error<Rejection>>> {
        let (stream, command_id) = (&execution.target.stream, execution.context.command_id);
        let span = tracing::info_span!("command", category = &*stream.category, id = %stream.id, %command_id);
        let attempts = async move {
            let mut indeterminate = None;
            let result = match self.attempts(execution.clone(), &mut indeterminate).await {
                Err(error) if receipt_is_unread(&error) => Box::pin(self.duplicate_or(&execution, error)).await,
                result => result,
            };
            // Once an attempt may have been written, no later failure may say that nothing was.
            result.map_err(|error| indeterminate.map_or(error, Error::Append))
        };
        Box::pin(attempts.instrument(span))
    }

    async fn attempts(
        &self,
        execution: Execution<'_>,
        indeterminate: &mut Option<AppendError>,
    ) -> Result<Executed, Error<Rejection>> {
        let deadline = Instant::now() + self.deadline;
        let mut entries = self.entries(&execution, Vec::new())?;
        let (mut failures, mut assume_new) = (0, execution.assume_new);
        loop {
            let stale = entries.iter().filter(|(key, _)| !assume_new.contains(key));
            try_join_all(stale.map(|(key, entry)| self.loader.refresh_if_stale(key, entry))).await?;
            let error = match self.decide_on_newest(&execution, &mut entries, assume_new) {
                Ok(Decision::NotLoaded(_)) if Instant::now() >= deadline => return Err(Error::Contended),
                Ok(Decision::NotLoaded(asked_for)) => {
                    entries = self.entries(&execution, asked_for)?;
                    continue;
                }
                Ok(Decision::Submitted(submitted)) => match self.await_commit(&execution, submitted).await {
                    Ok(executed) => return Ok(executed),
                    Err(Error::Append(error)) => error,
                    Err(error) => return Err(error),
                },
                Ok(Decision::NoEvents(watches)) => {
                    match Box::pin(self.recheck_on_committed(&execution, &mut entries, watches)).await? {
                        Some(executed) => return Ok(executed),
                        // On the committed states the decision is another one: decide again.
                        None => AppendError::ChainAborted,
                    }
                }
                Err(Error::Append(error)) => error,
                Err(error) => return Err(error),
            };
            assume_new = &[];
            if let AppendError::Indeterminate(_) = &error {
                *indeterminate = Some(error.clone());
            }
            // Drawn before the wait: the generator is not `Send`.
            let delay = backoff(failures, &error)?.mul_f64(rand::rng().random_range(0.5..1.0));
            if Instant::now() + delay >= deadline {
                return Err(last_error(error));
            }
            // An attempt that was only undone together with another one is no failure of its own: what it rests on is read
            // again where that one failed.
            if !matches!(error, AppendError::ChainAborted) {
                failures += 1;
                entries.values().for_each(|entry| entry.lock().mark_stale());
            }
            tokio::time::sleep(delay).await;
        }
    }

    /// The cache entries of the target, and of what the last call of the decision function asked for.
    fn entries(&self, execution: &Execution<'_>, asked_for: Vec<AggregateKey>) -> Result<Entries, Error<Rejection>> {
        let keys = asked_for.into_iter().chain([execution.target.clone()]);
        let entries: Entries = keys.map(|key| (key.clone(), self.loader.cache.entry(&key))).collect();
        if entries.len() > MAX_DECISION_AGGREGATES {
            return Err(Error::TooManyAggregates { limit: MAX_DECISION_AGGREGATES });
        }
        Ok(entries)
    }

    /// Decides on the newest states, and submits the append before any other command may change one of them. Once it has
    /// decided, `entries` are those of all aggregates that it may rest on.
    fn decide_on_newest(
        &self,
        execution: &Execution<'_>,
        entries: &mut Entries,
        assume_new: &[AggregateKey],
    ) -> Result<Decision, Error<Rejection>> {
        let may_change = |key: &AggregateKey| execution.may_change_others || *key == execution.target;
        let found = Found::default();
        let mut locks = Locks::wait(&self.loader.cache, entries, &may_change, assume_new, &found);
        let mut newest = |key: &AggregateKey| locks.newest(key);
        let mut states = States::new(execution.context, &mut newest);
        let has_events = match check_and_decide(execution, &mut states) {
            Err(NotDecided::NotLoaded) => return Ok(Decision::NotLoaded(states.asked_for())),
            Err(NotDecided::Encode(error)) => return Err(error.into()),
            Ok(()) => states.members.values().any(Member::is_changed),
            Err(NotDecided::Rejected(_)) => false,
        };
        let members = states.members;
        let decision = if has_events {
            self.submit(execution, &mut locks, members).map(Decision::Submitted)
        } else {
            Ok(Decision::NoEvents(members.keys().filter_map(|key| locks.commit_watch(key)).collect()))
        };
        *entries = locks.unlock();
        Ok(decision?)
    }

    fn submit(
        &self,
        execution: &Execution<'_>,
        locks: &mut Locks<'_>,
        mut members: BTreeMap<AggregateKey, Member>,
    ) -> Result<SubmittedDecision, AppendError> {
        let append = build_append(execution.context, &execution.target, execution.may_change_others, &mut members);
        let (mut chains, mut changed) = (Chains::default(), Vec::new());
        let (mut target, mut target_committed) = (execution.target.initial(), None);
        for (key, member) in members {
            if key == execution.target {
                target = member.after.clone();
                target_committed = locks.commit_watch(&key).filter(|_| !member.is_changed());
            }
            if member.is_changed() {
                let chain = member.chain.clone().unwrap_or_default();
                chains.changed.push(chain.clone());
                changed.push((key, member, chain));
            } else {
                chains.read.extend(member.chain);
            }
        }
        let append = self.loader.log.submit(append, chains)?;
        let changes = changed.into_iter().filter_map(|(key, member, chain)| {
            let (entry, committed) = locks.push_pending(&key, member.after.clone(), chain)?;
            Some(Change { key, entry, member, committed })
        });
        let mut changes: Vec<_> = changes.collect();
        // As the append has them.
        changes.sort_by_key(|change| change.member.append_order(&change.key, &execution.target));
        Ok(SubmittedDecision { append, target, target_committed, changes })
    }

    /// Waits until the append of a decision is committed, or fails.
    async fn await_commit(
        &self,
        execution: &Execution<'_>,
        submitted: SubmittedDecision,
    ) -> Result<Executed, Error<Rejection>> {
        let (loader, target_key) = (self.loader.clone(), execution.target.clone());
        // In a task of its own: later decisions build on this one, and need its result even if the caller is cancelled.
        let result = tokio::spawn(async move {
            let SubmittedDecision { append, mut target, target_committed, changes } = submitted;
            let appended = append.result().await?;
            let Appended::New { first, .. } = appended else { return Ok((appended, target)) };
            let mut position = first.get();
            for Change { key, entry, member, committed } in changes {
                let events = member.after.version.get() - member.before.version.get();
                position += events;
                let after = AnyLoaded { position: Position::from(position - 1), ..member.after };
                entry.lock().update(&after);
                committed.send_replace(Some(after.position));
                loader.snapshots.offer(&key, member.before.version, &after);
                member.record.into_iter().for_each(|record| record());
                if key == target_key {
                    target = after;
                }
            }
            if let Some(mut committed_at) = target_committed {
                // Committed before this append, which builds on it; only its position may not have been reported yet.
                let reported = committed_at.wait_for(Option::is_some).await.ok().and_then(|position| *position);
                target.position = reported.unwrap_or(target.position);
            }
            Ok((appended, target))
        });
        match result.await.unwrap_or_else(|_| Err(AppendError::outcome_unknown())) {
            Ok((Appended::New { last, .. }, target)) => {
                Ok(Executed { kind: OutcomeKind::Done, position: last, target })
            }
            Ok((Appended::Duplicate { last, .. }, _)) => {
                let target = self.loader.load(&execution.target).await?;
                Ok(Executed { kind: OutcomeKind::Duplicate, position: last, target })
            }
            Err(error) => Err(Error::Append(error)),
        }
    }

    /// Decides once more, on the committed states of one moment, after a decision without events.
    ///
    /// The first decision was made on cached states, which may be stale or never be committed. That is good enough to
    /// append on, as the expected versions are checked, but not to reject a command. Returns none if the decision is
    /// another one on the committed states, or rests on others.
    async fn recheck_on_committed(
        &self,
        execution: &Execution<'_>,
        entries: &mut Entries,
        watches: Vec<CommitWatch>,
    ) -> Result<Option<Executed>, Error<Rejection>> {
        for mut committed_at in watches {
            // Closed without a position if the append was not written; the stream is read in either case.
            drop(committed_at.wait_for(Option::is_some).await);
        }
        let committed = self.loader.load_at_one_moment(entries).await?;
        let (members, rejection) = {
            let mut newest =
                |key: &AggregateKey| committed.get(key).cloned().map(|loaded| Newest { loaded, chain: None });
            let mut states = States::new(execution.context, &mut newest);
            match check_and_decide(execution, &mut states) {
                Ok(()) => (states.members, None),
                Err(NotDecided::Rejected(rejection)) => (states.members, Some(rejection)),
                Err(NotDecided::Encode(error)) => return Err(error.into()),
                Err(NotDecided::NotLoaded) => {
                    *entries = self.entries(execution, states.asked_for())?;
                    return Ok(None);
                }
            }
        };
        if rejection.is_none() && members.values().any(Member::is_changed) {
            return Ok(None);
        }
        // What was asked for may already be done by any of the aggregates.
        let position = members.values().map(|member| member.before.position).max().unwrap_or_default();
        let receipt = self.loader.receipt(&execution.target.stream, execution.context.command_id).await?;
        let target = committed.get(&execution.target).cloned().unwrap_or_else(|| execution.target.initial());
        Executed::without_append(execution.context, target, position, receipt.as_ref(), rejection).map(Some)
    }

    /// The result of the first execution of a command that failed before its append, if it was executed before: the
    /// reply may have been lost, and the states that a retry decides on are others. Else the error, also if that cannot
    /// be found out.
    async fn duplicate_or(
        &self,
        execution: &Execution<'_>,
        error: Error<Rejection>,
    ) -> Result<Executed, Error<Rejection>> {
        let target = &execution.target;
        let Ok(Some(receipt)) = self.loader.receipt(&target.stream, execution.context.command_id).await else {
            return Err(error);
        };
        let Ok(loaded) = self.loader.load(target).await else { return Err(error) };
        Executed::without_append(execution.context, loaded, receipt.last, Some(&receipt), Some(error))
    }
}

/// Whether a command failed before anything looked for its receipt, in a way in which a retry may fail too.
fn receipt_is_unread(error: &Error<Rejection>) -> bool {
    match error {
        Error::TooManyAggregates { .. } | Error::Encode(_) | Error::Contended => true,
        Error::Append(error) => matches!(error, AppendError::Invalid(_) | AppendError::Refused(_)),
        // Rejections have looked at it, and so has the log for reused ids. The target of the others cannot be loaded.
        Error::Forbidden(_)
        | Error::Rejected(_)
        | Error::WrongVersion { .. }
        | Error::CommandIdReused
        | Error::Load(_)
        | Error::Decode(_) => false,
    }
}

/// Why a command was not decided.
enum NotDecided {
    /// Further aggregates have to be loaded.
    NotLoaded,
    /// The states do not allow the command, or the principal may not change one of them.
    Rejected(Error<Rejection>),
    /// An event cannot be written as JSON.
    Encode(EncodeError),
}

/// Decides. The decision rests on the target in any case.
fn check_and_decide(execution: &Execution<'_>, states: &mut States<'_>) -> Result<(), NotDecided> {
    if states.member(&execution.target).is_err() {
        return Err(NotDecided::NotLoaded);
    }
    (execution.decide)(states).map_err(|undecided| match undecided {
        Undecided::NotLoaded(_) => NotDecided::NotLoaded,
        Undecided::Rejected(rejection) => NotDecided::Rejected(Error::Rejected(rejection)),
        Undecided::WrongVersion(WrongVersion { expected, current }) => {
            NotDecided::Rejected(Error::WrongVersion { expected, current })
        }
        Undecided::Forbidden(error) => NotDecided::Rejected(Error::Forbidden(error)),
        Undecided::Encode(error) => NotDecided::Encode(error),
    })
}
