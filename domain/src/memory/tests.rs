use super::*;
use crate::testing::{at, body, given, uuid};
use proptest::prelude::*;

const fn ada() -> AgentId {
    AgentId(uuid(1))
}
const fn bob() -> AgentId {
    AgentId(uuid(2))
}
fn stored() -> MemoryEvent {
    MemoryEvent::Stored(MemoryStored { agent_id: ada(), content: body("tea"), tags: vec![], at: at(0) })
}
fn shared(realm: Realm) -> MemoryEvent {
    MemoryEvent::Shared(MemoryShared { realm, at: at(1) })
}
fn forgotten() -> MemoryEvent {
    MemoryEvent::Forgotten(MemoryForgotten { reason: None, at: at(2) })
}
fn store() -> MemoryCommand {
    MemoryCommand::Store { agent_id: ada(), content: body("tea"), tags: vec![], at: at(0) }
}

#[test]
fn forgetting_again_for_a_different_reason_is_rejected() {
    let forget = |reason: Option<&str>| MemoryCommand::Forget { reason: reason.map(body), at: at(3) };
    let forgotten = MemoryEvent::Forgotten(MemoryForgotten { reason: Some(body("wrong")), at: at(2) });
    for same in [forget(Some("wrong")), forget(None)] {
        given::<Memory>([stored(), forgotten.clone()]).when(same).then([]);
    }
    given::<Memory>([stored(), forgotten]).when(forget(Some("private"))).then_rejected(MemoryError::AlreadyForgotten);
}

#[test]
fn an_id_holds_one_item() {
    given::<Memory>([]).when(store()).then([stored()]);
    given::<Memory>([stored()]).when(store()).then([]);
    given::<Memory>([stored()])
        .when(MemoryCommand::Store { agent_id: bob(), content: body("tea"), tags: vec![], at: at(0) })
        .then_rejected(MemoryError::AlreadyStored);
}

#[test]
fn sharing_only_widens() {
    given::<Memory>([stored()])
        .when(MemoryCommand::Share { realm: Realm::Village, at: at(1) })
        .then([shared(Realm::Village)]);
    given::<Memory>([stored(), shared(Realm::Bridge)])
        .when(MemoryCommand::Share { realm: Realm::Village, at: at(2) })
        .then_rejected(MemoryError::CannotNarrow { from: Realm::Bridge, to: Realm::Village });
}

#[test]
fn a_private_memory_is_recalled_only_by_its_owner() {
    let recall = |agent_id| MemoryCommand::Recall { agent_id, at: at(3) };
    let recalled = |agent_id| MemoryEvent::Recalled(MemoryRecalled { agent_id, at: at(3) });
    given::<Memory>([stored()]).when(recall(ada())).then([recalled(ada())]);
    given::<Memory>([stored()]).when(recall(bob())).then_rejected(MemoryError::NotVisible);
    given::<Memory>([stored(), shared(Realm::Village)]).when(recall(bob())).then([recalled(bob())]);
}

#[test]
fn a_forgotten_memory_accepts_no_further_command() {
    given::<Memory>([stored()]).when(MemoryCommand::Forget { reason: None, at: at(2) }).then([forgotten()]);
    given::<Memory>([stored(), forgotten()])
        .when(MemoryCommand::Recall { agent_id: ada(), at: at(3) })
        .then_rejected(MemoryError::Forgotten);
    given::<Memory>([stored(), forgotten()]).when(store()).then_rejected(MemoryError::Forgotten);
    given::<Memory>([]).when(MemoryCommand::Forget { reason: None, at: at(2) }).then_rejected(MemoryError::NotStored);
}

proptest! {
    #[test]
    fn realms_never_narrow(realms in proptest::collection::vec(
        prop_oneof![Just(Realm::Private), Just(Realm::Village), Just(Realm::Bridge)], 0..12)) {
        let mut memory = Memory::default().evolve(&stored());
        let mut widest = Realm::Private;
        for realm in realms {
            if let Ok(events) = memory.decide(MemoryCommand::Share { realm, at: at(1) }) {
                memory = events.iter().fold(memory, |memory, event| memory.evolve(event));
                widest = widest.max(realm);
            }
            prop_assert_eq!(memory.item.as_ref().map(|item| item.realm), Some(widest));
        }
    }
}
