use super::*;
use crate::testing::{at, body, given};
use proptest::prelude::*;

fn acme() -> TenantId {
    "acme".parse().unwrap()
}
fn create(tenant_id: TenantId) -> TenantCommand {
    TenantCommand::Create { tenant_id, at: at(0) }
}
fn created() -> TenantEvent {
    TenantEvent::Created(TenantCreated { tenant_id: acme(), at: at(0) })
}
fn suspend(reason: Option<&str>) -> TenantCommand {
    TenantCommand::Suspend { reason: reason.map(body), at: at(1) }
}
fn suspended(reason: Option<&str>) -> TenantEvent {
    TenantEvent::Suspended(TenantSuspended { reason: reason.map(body), at: at(1) })
}
fn resume() -> TenantCommand {
    TenantCommand::Resume { at: at(2) }
}

#[test]
fn a_tenant_is_created_once() {
    given::<Tenant>([]).when(create(acme())).then([created()]);
    given::<Tenant>([created()]).when(create(acme())).then([]);
    let other = "other".parse().unwrap();
    given::<Tenant>([created()]).when(create(other)).then_rejected(TenantError::OtherTenant(acme()));
}

#[test]
fn the_reserved_tenant_cannot_be_created() {
    let reserved = TenantId::installation();
    given::<Tenant>([]).when(create(reserved.clone())).then_rejected(TenantError::Reserved(reserved));
}

#[test]
fn a_tenant_is_suspended_and_resumed() {
    given::<Tenant>([created()]).when(suspend(Some("unpaid"))).then([suspended(Some("unpaid"))]);
    let resumed = TenantEvent::Resumed(TenantResumed { at: at(2) });
    let tenant = given::<Tenant>([created(), suspended(Some("unpaid"))]).when(resume()).then([resumed]);
    assert_eq!(tenant, Tenant { tenant_id: Some(acme()), is_suspended: false, reason: None });
    given::<Tenant>([created()]).when(resume()).then([]);
}

#[test]
fn suspending_again_for_a_different_reason_is_rejected() {
    let suspended = || [created(), suspended(Some("unpaid"))];
    given::<Tenant>(suspended()).when(suspend(Some("unpaid"))).then([]);
    given::<Tenant>(suspended()).when(suspend(None)).then([]);
    given::<Tenant>(suspended()).when(suspend(Some("abuse"))).then_rejected(TenantError::AlreadySuspended);
}

#[test]
fn a_tenant_that_does_not_exist_accepts_no_other_command() {
    given::<Tenant>([]).when(suspend(None)).then_rejected(TenantError::NotCreated);
    given::<Tenant>([]).when(resume()).then_rejected(TenantError::NotCreated);
}

proptest! {
    /// A command that was accepted appends nothing when it is given again.
    #[test]
    fn accepted_commands_hold(choices in proptest::collection::vec(0_u8..4, 0..20)) {
        let mut tenant = Tenant::default();
        for choice in choices {
            let command = match choice {
                0 => create(acme()),
                1 => suspend(Some("unpaid")),
                2 => suspend(None),
                _ => resume(),
            };
            if let Ok(events) = tenant.decide(command.clone()) {
                tenant = events.iter().fold(tenant, |tenant, event| tenant.evolve(event));
                prop_assert_eq!(tenant.decide(command), Ok(vec![]));
            }
        }
    }
}
