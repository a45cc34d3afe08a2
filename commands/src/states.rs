//! What a decision over several aggregates sees and does.

use crate::cache::Newest;
use crate::context::Context;
use crate::event_id::event_id;
use crate::kind::{AggregateKey, AnyLoaded};
use crate::observe;
use domain::permissions::{Forbidden, SendCommand};
use domain::{Abridged, Aggregate, EncodeError};
use std::collections::BTreeMap;
use std::sync::Arc;
use streams::{Chain, NewEvent, Version};
use uuid::Uuid;

/// The number of aggregates that one decision may rest on.
pub const MAX_DECISION_AGGREGATES: usize = 64;

/// Why a decision function did not decide.
#[derive(Debug)]
pub enum Undecided<E> {
    /// It needs an aggregate that is not loaded yet. The executor loads it and calls the function again.
    NotLoaded(NotLoaded),
    /// The command is rejected.
    Rejected(E),
    /// An aggregate does not have the version that the command expects.
    WrongVersion(WrongVersion),
    /// The principal may not change one of the aggregates.
    Forbidden(Forbidden),
    /// An event cannot be written as JSON.
    Encode(EncodeError),
}

/// An aggregate does not have the version that the command expects.
#[derive(Debug, Clone, Copy)]
pub struct WrongVersion {
    pub(crate) expected: Version,
    pub(crate) current: Version,
}

/// An aggregate is not loaded yet.
#[derive(Debug)]
pub struct NotLoaded(());

impl<E> From<NotLoaded> for Undecided<E> {
    fn from(not_loaded: NotLoaded) -> Self {
        Self::NotLoaded(not_loaded)
    }
}

impl<E> From<Forbidden> for Undecided<E> {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl<E> From<EncodeError> for Undecided<E> {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// The aggregates of one decision, all of the command's tenant.
///
/// A decision function reads aggregates with [`States::get`] and adds events to them with [`States::append`]. It is pure: it
/// is called again, on other states, when an aggregate that it asked for has been loaded and when another command was
/// faster. The aggregates that it asked for in its last call are those that the append rests on, so that the set may depend
/// on the states. All aggregates that a function asks for before it returns are loaded at once, so that it should ask for
/// those that it needs in any case before it looks at the first.
pub struct States<'a> {
    context: &'a Context,
    /// The state of an aggregate to decide on; none if it has to be loaded.
    newest: &'a mut dyn FnMut(&AggregateKey) -> Option<Newest>,
    pub(crate) members: BTreeMap<AggregateKey, Member>,
    pub(crate) not_loaded: Vec<AggregateKey>,
}

/// An aggregate that a decision asked for.
pub(crate) struct Member {
    /// The aggregate that the decision rests on.
    pub(crate) before: AnyLoaded,
    /// The chain of the decisions that it rests on itself and that are not committed yet; none if there are none.
    pub(crate) chain: Option<Chain>,
    /// The aggregate after the events, whose position is not known yet.
    pub(crate) after: AnyLoaded,
    pub(crate) events: Vec<NewEvent>,
    /// The number of aggregates that the decision changed before this one. Streams are appended to in this order.
    pub(crate) changed_after: usize,
    /// Count the events in the metrics once they are committed.
    pub(crate) record: Vec<Box<dyn FnOnce() + Send>>,
}

impl Member {
    pub(crate) fn is_changed(&self) -> bool {
        self.after.version != self.before.version
    }

    /// The order of the streams of an append.
    pub(crate) fn append_order(&self, key: &AggregateKey, target: &AggregateKey) -> (bool, usize) {
        (key != target, self.changed_after)
    }
}

/// The aggregates of a decision that changes only its target.
pub struct OtherStates<'s, 'a>(pub(crate) &'s mut States<'a>);

impl OtherStates<'_, '_> {
    /// As [`States::get`].
    ///
    /// # Errors
    /// [`NotLoaded`] if the aggregate is not loaded yet. The decision function returns it.
    pub fn get<A: Aggregate>(&mut self, id: Uuid) -> Result<Arc<A>, NotLoaded> {
        self.0.get(id)
    }
}

impl<'a> States<'a> {
    pub(crate) fn new(context: &'a Context, newest: &'a mut dyn FnMut(&AggregateKey) -> Option<Newest>) -> Self {
        Self { context, newest, members: BTreeMap::new(), not_loaded: Vec::new() }
    }

    /// The state of an aggregate, with the events that this decision added to it; the default state if its stream has no
    /// events.
    ///
    /// # Errors
    /// [`NotLoaded`] if the aggregate is not loaded yet. The decision function returns it.
    pub fn get<A: Aggregate>(&mut self, id: Uuid) -> Result<Arc<A>, NotLoaded> {
        let key = self.key::<A>(id);
        Ok(self.member(&key)?.after.typed().state)
    }

    /// Checks that an aggregate has the version that the command expects, if it expects any.
    ///
    /// # Errors
    /// [`Undecided::NotLoaded`] if the aggregate is not loaded yet, [`Undecided::WrongVersion`] if it has another version. The
    /// decision function returns either.
    pub(crate) fn check_expected_version<A: Aggregate, E>(&mut self, id: Uuid) -> Result<(), Undecided<E>> {
        let (key, expected) = (self.key::<A>(id), self.context.expected_version);
        let current = self.member(&key)?.before.version;
        match expected.filter(|expected| *expected != current) {
            Some(expected) => Err(Undecided::WrongVersion(WrongVersion { expected, current })),
            None => Ok(()),
        }
    }

    /// Checks that an aggregate does not belong to another agent than those that the principal's commands are limited to, if
    /// they are: by the credential or by roles on agents.
    ///
    /// # Errors
    /// [`Undecided::NotLoaded`] if the aggregate is not loaded yet, [`Undecided::Forbidden`] if it belongs to another agent.
    pub(crate) fn check_owner<A: Aggregate, E>(&mut self, id: Uuid) -> Result<(), Undecided<E>> {
        let principal = &self.context.principal;
        if principal.is_limited_to_agents(A::CATEGORY, id) {
            let owner = self.get::<A>(id)?.owner(id);
            owner.map_or(Ok(()), |owner| principal.check_agent(A::CATEGORY, id, &[Some(owner)]))?;
        }
        Ok(())
    }

    /// Adds events to an aggregate, which are appended to its stream if the decision is committed. The events of the command's
    /// target come first in the log, then those of the other aggregates in the order in which the decision added to them.
    ///
    /// # Errors
    /// [`Undecided::NotLoaded`] if the aggregate is not loaded yet, [`Undecided::Forbidden`] if the principal may not change
    /// it, [`Undecided::Encode`] if an event cannot be written as JSON. The decision function returns each of them.
    pub fn append<A: Aggregate, E>(&mut self, id: Uuid, events: Vec<A::Event>) -> Result<(), Undecided<E>> {
        let (key, context) = (self.key::<A>(id), self.context);
        if !events.is_empty() {
            context.principal.authorise_on::<SendCommand>(A::CATEGORY, id)?;
        }
        let changed = self.members.values().filter(|member| member.is_changed()).count();
        let member = self.member(&key)?;
        let before = member.after.typed::<A>().state;
        if events.is_empty() {
            return Ok(());
        }
        if !member.is_changed() {
            member.changed_after = changed;
        }
        let mut state = A::clone(&before);
        for event in &events {
            let agent_before = state.agent(id, event);
            state = match A::RESTORE {
                Some(restore) => restore(event),
                None => state.evolve(event),
            };
            let agents = [agent_before, state.agent(id, event)];
            context.principal.check_agent(A::CATEGORY, id, &agents)?;
        }
        for event in &events {
            let id = event_id(&key.stream, context.command_id, member.events.len());
            let abridged = A::ABRIDGED.map(|Abridged { abridge, .. }| abridge(event.clone(), context.correlation_id));
            member.events.push(NewEvent::encode(id, abridged.as_ref().unwrap_or(event))?);
        }
        member.after.version = Version::from(member.after.version.get() + events.len() as u64);
        member.after.state = Arc::new(state);
        member.record.push(Box::new(move || observe::record_appended(&*before, &events)));
        Ok(())
    }

    /// The aggregates that the decision function asked for.
    pub(crate) fn asked_for(self) -> Vec<AggregateKey> {
        self.members.into_keys().chain(self.not_loaded).collect()
    }

    /// Returns the entry of an aggregate and makes the decision depend on its version.
    pub(crate) fn member(&mut self, key: &AggregateKey) -> Result<&mut Member, NotLoaded> {
        if !self.members.contains_key(key) {
            let Some(Newest { loaded, chain }) = (self.newest)(key) else {
                self.not_loaded.push(key.clone());
                return Err(NotLoaded(()));
            };
            let (before, after) = (loaded.clone(), loaded);
            let member = Member { before, chain, after, events: Vec::new(), changed_after: 0, record: Vec::new() };
            self.members.insert(key.clone(), member);
        }
        self.members.get_mut(key).ok_or(NotLoaded(()))
    }

    fn key<A: Aggregate>(&self, id: Uuid) -> AggregateKey {
        AggregateKey::of::<A>(self.context.principal.tenant(), id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Principal;
    use domain::call::{Call, CallError, CallEvent, CallVoided};
    use domain::memory::{Memory, MemoryCommand, MemoryError, MemoryEvent, MemoryRecalled};
    use domain::permissions::{PermissionSet, Role, Scopes};
    use domain::{AgentId, ApiKeyId, Body, Name, ServiceAccountId};

    /// Also an aggregate that is not the target of the command.
    #[test]
    fn each_changed_aggregate_is_authorised() {
        let append = |roles, events| {
            let (tenant, name) = ("default".parse().unwrap(), Name::new("ada").unwrap());
            let principal = Principal::shared_token(tenant, name, roles, Scopes::All).unwrap();
            let (context, id) = (Context::new(principal, Uuid::nil()), Uuid::from_u128(7));
            let key = AggregateKey::of::<Call>(context.principal.tenant(), id);
            let mut newest = |_: &AggregateKey| Some(Newest { loaded: key.initial(), chain: None });
            States::new(&context, &mut newest).append::<Call, CallError>(id, events)
        };
        let voided = || vec![CallEvent::Voided(CallVoided { into: Uuid::from_u128(5).into() })];
        assert!(append(vec![Role::Operator], voided()).is_ok());
        assert!(append(Vec::new(), Vec::new()).is_ok(), "nothing is changed");
        assert!(matches!(append(Vec::new(), voided()), Err(Undecided::Forbidden(_))));
    }

    /// A key that is bound to an agent gives commands in the name of that agent only.
    #[test]
    fn a_bound_credential_changes_what_belongs_to_its_agent() {
        let (bound, other) = (AgentId(Uuid::from_u128(1)), AgentId(Uuid::from_u128(2)));
        let append = |agent, owner: AgentId, recalls_as: AgentId| {
            let (tenant, key) = ("default".parse().unwrap(), ApiKeyId(Uuid::nil()));
            let permissions = PermissionSet::of_roles(&[Role::Agent]);
            let account = ServiceAccountId(Uuid::nil());
            let principal = Principal::service_account(tenant, account, key, permissions, Scopes::All, agent);
            let (context, id) = (Context::new(principal, Uuid::nil()), Uuid::from_u128(7));
            let at = chrono::DateTime::UNIX_EPOCH;
            let memory = Memory::default();
            let store =
                MemoryCommand::Store { agent_id: owner, content: Body::new("x").unwrap(), tags: Vec::new(), at };
            let stored = memory.decide(store).unwrap();
            let recalled = MemoryEvent::Recalled(MemoryRecalled { agent_id: recalls_as, at });
            let key = AggregateKey::of::<Memory>(context.principal.tenant(), id);
            let mut newest =
                |asked: &AggregateKey| (*asked == key).then(|| Newest { loaded: key.initial(), chain: None });
            let mut states = States::new(&context, &mut newest);
            states.append::<Memory, MemoryError>(id, stored)?;
            states.append::<Memory, MemoryError>(id, vec![recalled])
        };
        assert!(append(Some(bound), bound, bound).is_ok());
        for (owner, recalls_as) in [(other, bound), (bound, other), (other, other)] {
            assert!(matches!(append(Some(bound), owner, recalls_as), Err(Undecided::Forbidden(_))));
            assert!(append(None, owner, recalls_as).is_ok());
        }
    }
}
