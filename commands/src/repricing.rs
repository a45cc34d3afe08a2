//! Charging calls again by the prices that the price book has now: what it would change, and the events that change it.
//!
//! A call is decided about on its own stream, and is left alone if its charge stays the same. So a repricing that is done again
//! changes nothing, and one that was interrupted goes on. Deliberately absent: which calls those are. A read model finds them.

use crate::context::Context;
use crate::error::Error;
use crate::executor::Commands;
use crate::outcome::OutcomeKind;
use crate::principal::Principal;
use crate::taking_back::TakeBack;
use chrono::{DateTime, NaiveDate, Utc};
use domain::call::{Call, CallCommand, CallError, CallFacts, CallIds, CallKind, Repricing};
use domain::permissions::{Forbidden, ReadData, SendCommand};
use domain::price_book::PriceBook;
use domain::{Aggregate, Body, CallId, Money, Name, Sum, TextError, derived_id};
use futures::{StreamExt as _, stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use streams::{AppendError, Position};
use thiserror::Error;
use uuid::Uuid;

/// The most calls that are charged again at once.
const MAX_IN_FLIGHT: usize = 16;
/// How often a call is looked at again that changes meanwhile.
const MAX_ATTEMPTS: usize = 3;

/// How calls are to be charged again.
#[derive(Debug, Clone)]
pub struct Reprice {
    /// Who asks for it.
    pub principal: Arc<Principal>,
    /// How it is recorded; a dry run if it is not.
    pub record: Option<RecordRepricing>,
}

/// What the events of a repricing have in common.
#[derive(Debug, Clone)]
pub struct RecordRepricing {
    /// Why the calls are charged again: at most [`TakeBack::MAX_REASON_BYTES`].
    pub reason: Body,
    /// When they are.
    pub at: DateTime<Utc>,
    /// The correlation id of the events.
    pub correlation_id: Uuid,
}

/// What charging some calls again changes, or would change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repriced {
    /// The number of calls that were looked at.
    pub calls: u64,
    /// The differences, by the model that the calls name and the day (UTC) on which they started.
    pub differences: BTreeMap<(Option<Name>, NaiveDate), PriceDifference>,
    /// The calls for which the price book has no price now. Those with a charge keep it.
    pub unpriced: BTreeMap<UnpricedBy, UnpricedCount>,
    /// What could not be charged again. The rest was charged all the same.
    pub failed: Vec<NotRepriced>,
    /// The position of the last event that was appended, if any was.
    pub position: Position,
    /// The number of calls that were looked at by each version of the price book: of one, unless prices changed meanwhile.
    pub book_versions: BTreeMap<u64, u64>,
}

/// The difference that charging some calls again makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceDifference {
    /// The number of calls with another charge.
    pub calls: u64,
    /// Those of them that had no price before.
    pub unpriced: u64,
    /// The sum of their charges before.
    pub before: Sum,
    /// The sum of their charges after.
    pub after: Sum,
}

impl PriceDifference {
    /// How much more the charges are after than before.
    #[must_use]
    pub fn difference(&self) -> Sum {
        &self.after - &self.before
    }
}

/// What calls without a price have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnpricedBy {
    /// The model that they name.
    pub model: Option<Name>,
    /// The provider that they name.
    pub provider: Option<Name>,
    /// Why they have no price.
    pub reason: String,
}

/// The number of calls without a price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnpricedCount {
    /// All of them.
    pub calls: u64,
    /// Those that keep a charge that they have.
    pub charged: u64,
}

/// A call that could not be charged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRepriced {
    /// The call.
    pub call_id: CallId,
    /// Why not.
    pub reason: NotRepricedReason,
}

/// Why a call could not be charged again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotRepricedReason {
    /// The call refused it.
    #[error(transparent)]
    Rejected(CallError),
    /// The call or the price book changed during every attempt.
    #[error("other commands kept changing the call or the price book: charge it again later")]
    Contended,
    /// The call rests on more other calls than one may.
    #[error("it was voided into others more than {limit} times")]
    TooManyCalls {
        /// The most calls.
        limit: usize,
    },
    /// A stored event of the call cannot be decoded: a newer version wrote it, or it is damaged.
    #[error("a stored event of it cannot be decoded: a newer version of Apex wrote it, or it is damaged")]
    Unreadable,
    /// The event is not accepted, such as one with too much content.
    #[error("its new charge cannot be recorded: {0}")]
    Invalid(String),
}

/// What was found of one call.
enum Found {
    /// It has another charge.
    Differs(Box<Repricing>, Position),
    /// It has the same charge.
    Same,
    /// It has no price.
    Unpriced(UnpricedBy, bool),
    /// It is not counted any more, or is another agent's.
    Gone,
    Failed(NotRepriced),
}

impl Found {
    /// What is known of a call that could not be charged again.
    ///
    /// # Errors
    /// The error, if it is one that says nothing of the call, such as a database that is not there.
    fn of_error(call_id: CallId, error: Error<CallError>) -> Result<Self, Error<CallError>> {
        let reason = match error {
            // Of another agent, or not counted any more.
            Error::Forbidden(_) | Error::Rejected(CallError::NotReported | CallError::Void | CallError::Voided(_)) => {
                return Ok(Self::Gone);
            }
            Error::Rejected(error) => NotRepricedReason::Rejected(error),
            Error::WrongVersion { .. }
            | Error::Contended
            | Error::Append(AppendError::Conflict { .. } | AppendError::ChainAborted) => NotRepricedReason::Contended,
            Error::TooManyAggregates { limit } => NotRepricedReason::TooManyCalls { limit },
            Error::Append(AppendError::Invalid(invalid)) => NotRepricedReason::Invalid(invalid.to_string()),
            Error::Decode(error) => {
                tracing::error!(%call_id, error = &error as &dyn std::error::Error, "a call could not be charged again");
                NotRepricedReason::Unreadable
            }
            error @ (Error::CommandIdReused | Error::Append(_) | Error::Load(_) | Error::Encode(_)) => {
                return Err(error);
            }
        };
        Ok(Self::Failed(NotRepriced { call_id, reason }))
    }
}

/// What a call without a price has in common with others; none if it has a price, or needs none.
fn unpriced_by(facts: &CallFacts, book: &PriceBook) -> Option<UnpricedBy> {
    let reason = match (&facts.model, facts.kind) {
        (None, CallKind::Llm) => "it names no model".to_owned(),
        (None, CallKind::Tool) | (Some(_), _) => facts.unpriced(book)?.to_string(),
    };
    Some(UnpricedBy { model: facts.model.clone(), provider: facts.provider.clone(), reason })
}

impl Reprice {
    /// The most calls of a request.
    pub const MAX_CALLS: usize = 500;

    /// A reason.
    ///
    /// # Errors
    /// [`TextError`] if the text is none, or longer than [`TakeBack::MAX_REASON_BYTES`].
    pub fn reason(text: &str) -> Result<Body, TextError> {
        TakeBack::reason(text)
    }

    /// Checks that the principal may record a repricing: which prices apply is decided by who sets them, and the calls are
    /// changed. Each call authorises the change of it, too.
    ///
    /// # Errors
    /// [`Forbidden`] if it may not.
    pub fn check_recording(&self) -> Result<(), Forbidden> {
        self.principal.authorise_on::<SendCommand>(PriceBook::CATEGORY, PriceBook::id())?;
        self.principal.authorise_on::<SendCommand>(Call::CATEGORY, Uuid::nil())?;
        Ok(())
    }
}

impl Repriced {
    /// Adds what charging other calls changes.
    pub fn add(&mut self, other: Self) {
        let Self { calls, differences, unpriced, failed, position, book_versions } = other;
        self.calls += calls;
        for (key, of) in differences {
            let sums = self.differences.entry(key).or_default();
            sums.calls += of.calls;
            sums.unpriced += of.unpriced;
            sums.before += &of.before;
            sums.after += &of.after;
        }
        for (key, of) in unpriced {
            let count = self.unpriced.entry(key).or_default();
            count.calls += of.calls;
            count.charged += of.charged;
        }
        self.failed.extend(failed);
        self.position = self.position.max(position);
        for (version, calls) in book_versions {
            *self.book_versions.entry(version).or_default() += calls;
        }
    }

    /// The number of calls with another charge.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.differences.values().map(|difference| difference.calls).sum()
    }

    /// Adds what was found of a call by a version of the price book.
    fn add_found(&mut self, found: Found, book_version: u64) {
        *self.book_versions.entry(book_version).or_default() += 1;
        match found {
            Found::Differs(repricing, position) => {
                let facts = &repricing.after.facts;
                let key = (facts.model.clone(), facts.started_at.date_naive());
                let sums = self.differences.entry(key).or_default();
                sums.calls += 1;
                sums.unpriced += u64::from(repricing.before.charge.is_none());
                sums.before += repricing.before.cost().unwrap_or(Money::ZERO);
                sums.after += repricing.after.cost().unwrap_or(Money::ZERO);
                self.position = self.position.max(position);
            }
            Found::Unpriced(by, is_charged) => {
                let count = self.unpriced.entry(by).or_default();
                count.calls += 1;
                count.charged += u64::from(is_charged);
            }
            Found::Failed(failed) => self.failed.push(failed),
            Found::Same | Found::Gone => {}
        }
    }
}

impl Commands {
    /// Charges calls again by the newest version of the price book, or finds what that would change. The calls are some that the
    /// principal may read. Those that are not counted any more, and those that it is not allowed to change, are left out.
    ///
    /// To record it takes the permissions to set prices and to change calls.
    ///
    /// # Errors
    /// As for [`Commands::execute`]. What was recorded before an error stays so; a repetition goes on.
    pub async fn reprice(&self, reprice: &Reprice, calls: &[CallId]) -> Result<Repriced, Error<CallError>> {
        let principal = &*reprice.principal;
        match reprice.record {
            Some(_) => reprice.check_recording()?,
            None => _ = principal.authorise_on::<ReadData>(PriceBook::CATEGORY, PriceBook::id())?,
        }
        let book = self.newest_book(principal).await?;
        let mut repriced = Repriced { calls: calls.len() as u64, ..Repriced::default() };
        // It is the version also if there are no calls.
        repriced.book_versions.insert(book.version(), 0);
        let found = stream::iter(calls.to_vec()).map(|id| self.reprice_call(reprice, &book, id));
        let found: Vec<_> = found.buffered(MAX_IN_FLIGHT).collect().await;
        for found in found {
            let (found, book_version) = found?;
            repriced.add_found(found, book_version);
        }
        if !calls.is_empty() {
            repriced.book_versions.retain(|_, calls| *calls > 0);
        }
        Ok(repriced)
    }

    /// The price book as it is now, which everyone who sees charges may read.
    pub(crate) async fn newest_book(&self, principal: &Principal) -> Result<Arc<PriceBook>, Error<CallError>> {
        let book = self.load::<PriceBook>(&principal.charging(), PriceBook::id()).await;
        // A load is never rejected.
        Ok(book.map_err(|error| error.map_rejected(|_| CallError::NotReported))?.state.clone())
    }

    /// Looks at one call, and at it again if it or the price book changed meanwhile. Returns the version of the price book that it
    /// was looked at by, too.
    async fn reprice_call(
        &self,
        reprice: &Reprice,
        book: &Arc<PriceBook>,
        id: CallId,
    ) -> Result<(Found, u64), Error<CallError>> {
        let (mut book, mut attempt) = (book.clone(), 1);
        loop {
            match self.try_reprice_call(reprice, &book, id).await {
                Err(Error::WrongVersion { .. }) if attempt < MAX_ATTEMPTS => {}
                Err(Error::Rejected(CallError::PriceBookOutdated { .. })) if attempt < MAX_ATTEMPTS => {
                    book = self.newest_book(&reprice.principal).await?;
                }
                found => {
                    let found = found.or_else(|error| Found::of_error(id, error))?;
                    return Ok((found, book.version()));
                }
            }
            attempt += 1;
        }
    }

    async fn try_reprice_call(
        &self,
        reprice: &Reprice,
        book: &Arc<PriceBook>,
        listed: CallId,
    ) -> Result<Found, Error<CallError>> {
        // The caller has listed the calls that the principal may read. To change one is authorised by its agent.
        let (id, call) = self.load_call(&reprice.principal.charging(), listed, None).await?;
        // It was voided into a call that is listed itself.
        if id != listed {
            return Ok(Found::Gone);
        }
        let Some(repricing) = call.state.reprice(book).map_err(Error::Rejected)? else {
            let charged = call.state.charged.as_ref();
            let unpriced = charged.and_then(|charged| unpriced_by(&charged.facts, book));
            let is_charged = charged.is_some_and(|charged| charged.charge.is_some());
            return Ok(unpriced.map_or(Found::Same, |by| Found::Unpriced(by, is_charged)));
        };
        let Some(record) = &reprice.record else { return Ok(Found::Differs(Box::new(repricing), Position::ZERO)) };
        let [version, book_version] = [call.version.get(), book.version()].map(|version| version.to_string());
        // The same call at the same version, charged by the same book, is the same command.
        let command_id = derived_id(&["reprice", &id.to_string(), &version, &book_version]);
        let mut context = Context::new(reprice.principal.clone(), command_id);
        context.correlation_id = record.correlation_id;
        // So that the difference is the one that is recorded.
        context.expected_version = Some(call.version);
        let (reason, at, prices) = (Some(record.reason.clone()), record.at, PriceBook::clone(book));
        let command = CallCommand::Reprice { reason, at, prices };
        let outcome = self.execute_call(&context, &CallIds::from(id), &command).await?;
        Ok(match outcome.kind {
            OutcomeKind::Done | OutcomeKind::Duplicate => Found::Differs(Box::new(repricing), outcome.position),
            OutcomeKind::AlreadyDone => Found::Same,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use streams::Version;

    const ID: CallId = CallId(Uuid::nil());

    #[test]
    fn a_call_that_cannot_be_charged_again_is_named_and_the_others_are_counted() {
        let version = |number: u64| Version::from(number);
        let mut repriced = Repriced { calls: 5, ..Repriced::default() };
        let wrong_version = Error::WrongVersion { expected: version(1), current: version(2) };
        for (error, expected) in [
            (Error::Contended, NotRepricedReason::Contended),
            (wrong_version, NotRepricedReason::Contended),
            (AppendError::ChainAborted.into(), NotRepricedReason::Contended),
            (Error::TooManyAggregates { limit: 32 }, NotRepricedReason::TooManyCalls { limit: 32 }),
            (Error::Rejected(CallError::NoTool), NotRepricedReason::Rejected(CallError::NoTool)),
        ] {
            repriced.add_found(Found::of_error(ID, error).unwrap(), 7);
            assert_eq!(repriced.failed.last(), Some(&NotRepriced { call_id: ID, reason: expected }));
        }
        repriced.add_found(Found::of_error(ID, Error::Rejected(CallError::Void)).unwrap(), 8);
        assert_eq!((repriced.failed.len(), repriced.book_versions), (5, BTreeMap::from([(7, 5), (8, 1)])));
        // What says nothing of the call ends the part: a repetition goes on.
        assert!(Found::of_error(ID, AppendError::Closed.into()).is_err());
        assert!(Found::of_error(ID, Error::outcome_unknown()).is_err());
    }

    #[test]
    fn a_call_of_a_language_model_without_a_model_has_no_price() {
        let facts = |kind| CallFacts::new(kind, DateTime::UNIX_EPOCH, Name::new("api").unwrap());
        let found = unpriced_by(&facts(CallKind::Llm), &PriceBook::default()).unwrap();
        assert_eq!((found.model, found.reason.as_str()), (None, "it names no model"));
        assert_eq!(unpriced_by(&facts(CallKind::Tool), &PriceBook::default()), None, "calls of tools have no price");
    }

    #[test]
    fn parts_that_were_looked_at_by_several_versions_name_each_with_its_calls() {
        let part = |versions: &[(u64, u64)]| Repriced {
            book_versions: versions.iter().copied().collect(),
            ..Repriced::default()
        };
        let mut all = part(&[(7, 500)]);
        all.add(part(&[(7, 20), (9, 480)]));
        assert_eq!(all.book_versions, BTreeMap::from([(7, 520), (9, 480)]));
    }
}
