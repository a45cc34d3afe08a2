use super::*;
use crate::testing::{at, body, given, name};
use proptest::prelude::*;

fn create(text: &str) -> ServiceAccountCommand {
    ServiceAccountCommand::Create { name: name(text), at: at(0) }
}
fn created() -> ServiceAccountEvent {
    ServiceAccountEvent::Created(ServiceAccountCreated { name: name("importer"), at: at(0) })
}
fn disable(reason: Option<&str>) -> ServiceAccountCommand {
    ServiceAccountCommand::Disable { reason: reason.map(body), at: at(1) }
}
fn disabled(reason: Option<&str>) -> ServiceAccountEvent {
    ServiceAccountEvent::Disabled(ServiceAccountDisabled { reason: reason.map(body), at: at(1) })
}
fn enable() -> ServiceAccountCommand {
    ServiceAccountCommand::Enable { at: at(2) }
}

#[test]
fn an_account_is_created_once() {
    assert!(!ServiceAccount::default().is_active());
    assert!(given::<ServiceAccount>([]).when(create("importer")).then([created()]).is_active());
    given::<ServiceAccount>([created()]).when(create("importer")).then([]);
    given::<ServiceAccount>([created()]).when(create("exporter")).then_rejected(ServiceAccountError::AlreadyCreated);
}

#[test]
fn an_account_is_disabled_and_enabled() {
    let account = given::<ServiceAccount>([created()]).when(disable(Some("leaked"))).then([disabled(Some("leaked"))]);
    assert!(!account.is_active());
    let enabled = ServiceAccountEvent::Enabled(ServiceAccountEnabled { at: at(2) });
    let account = given::<ServiceAccount>([created(), disabled(Some("leaked"))]).when(enable()).then([enabled]);
    assert!(account.is_active() && account.reason.is_none());
    given::<ServiceAccount>([created()]).when(enable()).then([]);
}

#[test]
fn disabling_again_for_a_different_reason_is_rejected() {
    let disabled = || [created(), disabled(Some("leaked"))];
    given::<ServiceAccount>(disabled()).when(disable(Some("leaked"))).then([]);
    given::<ServiceAccount>(disabled()).when(disable(None)).then([]);
    given::<ServiceAccount>(disabled())
        .when(disable(Some("unused")))
        .then_rejected(ServiceAccountError::AlreadyDisabled);
}

#[test]
fn an_account_that_does_not_exist_accepts_no_other_command() {
    given::<ServiceAccount>([]).when(disable(None)).then_rejected(ServiceAccountError::NotCreated);
    given::<ServiceAccount>([]).when(enable()).then_rejected(ServiceAccountError::NotCreated);
}

proptest! {
    /// A command that was accepted appends nothing when it is given again.
    #[test]
    fn accepted_commands_hold(choices in proptest::collection::vec(0_u8..5, 0..20)) {
        let mut account = ServiceAccount::default();
        for choice in choices {
            let command = match choice {
                0 => create("importer"),
                1 => create("exporter"),
                2 => disable(Some("leaked")),
                3 => disable(None),
                _ => enable(),
            };
            if let Ok(events) = account.decide(command.clone()) {
                account = events.iter().fold(account, |account, event| account.evolve(event));
                prop_assert_eq!(account.decide(command), Ok(vec![]));
            }
        }
    }
}
