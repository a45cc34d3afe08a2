use super::*;
use crate::testing::{at, body, given, name};

fn definition(text: &str, permissions: &[&str]) -> RoleDefinition {
    let permissions = permissions.iter().map(|permission| permission.parse::<Permission>().unwrap()).collect();
    RoleDefinition { name: name(text), permissions }
}
fn reader() -> RoleDefinition {
    definition("reader", &["read:agents", "read:tasks"])
}
fn define(definition: RoleDefinition) -> CustomRoleCommand {
    CustomRoleCommand::Define { definition, at: at(0) }
}
fn defined() -> CustomRoleEvent {
    CustomRoleEvent::Defined(RoleDefined { definition: reader(), at: at(0) })
}
fn change(definition: RoleDefinition) -> CustomRoleCommand {
    CustomRoleCommand::Change { definition, at: at(1) }
}
fn changed(definition: RoleDefinition) -> CustomRoleEvent {
    CustomRoleEvent::Changed(RoleChanged { definition, at: at(1) })
}
fn withdraw(reason: Option<&str>) -> CustomRoleCommand {
    CustomRoleCommand::Withdraw { reason: reason.map(body), at: at(2) }
}
fn withdrawn(reason: Option<&str>) -> CustomRoleEvent {
    CustomRoleEvent::Withdrawn(RoleWithdrawn { reason: reason.map(body), at: at(2) })
}

#[test]
fn a_role_is_defined_once_and_changed() {
    let role = given::<CustomRole>([]).when(define(reader())).then([defined()]);
    assert_eq!(role.permissions(), reader().permissions);
    given::<CustomRole>([defined()]).when(define(reader())).then([]);
    let other = definition("reader", &["read:agents"]);
    given::<CustomRole>([defined()]).when(define(other.clone())).then_rejected(CustomRoleError::AlreadyDefined);
    given::<CustomRole>([defined()]).when(change(reader())).then([]);
    let role = given::<CustomRole>([defined()]).when(change(other.clone())).then([changed(other.clone())]);
    assert_eq!(role.permissions(), other.permissions);
    for command in [change(other), withdraw(None)] {
        given::<CustomRole>([]).when(command).then_rejected(CustomRoleError::NotDefined);
    }
}

/// Neither when it is defined nor when it is changed.
#[test]
fn a_role_has_permissions_of_a_tenant_and_at_least_one() {
    let outside: Vec<_> = Permission::all().filter(|permission| !permission.is_of_tenant()).collect();
    assert!(outside.len() > 5);
    for permission in outside {
        let wrong = definition("wrong", &["read:agents", &permission.to_string()]);
        let error = CustomRoleError::OutsideTenant(permission);
        given::<CustomRole>([]).when(define(wrong.clone())).then_rejected(error.clone());
        given::<CustomRole>([defined()]).when(change(wrong)).then_rejected(error);
    }
    let none = definition("none", &[]);
    given::<CustomRole>([]).when(define(none.clone())).then_rejected(CustomRoleError::NoPermissions);
    given::<CustomRole>([defined()]).when(change(none)).then_rejected(CustomRoleError::NoPermissions);
    // Nor does it give any that is in its events all the same.
    let planted = definition("planted", &["read:agents", "operate_jobs:installation"]);
    let role = CustomRole::default().evolve(&changed(planted));
    assert_eq!(role.permissions(), definition("reader", &["read:agents"]).permissions);
    // Control: every permission of a tenant can be in a role.
    let all: PermissionSet = Permission::all().filter(|permission| permission.is_of_tenant()).collect();
    let all = RoleDefinition { name: name("all"), permissions: all };
    given::<CustomRole>([defined()]).when(change(all.clone())).then([changed(all)]);
}

#[test]
fn a_withdrawn_role_gives_nothing_and_stays_withdrawn() {
    let role = given::<CustomRole>([defined()]).when(withdraw(Some("unused"))).then([withdrawn(Some("unused"))]);
    assert!(role.permissions().is_empty() && !role.is_active());
    let events = || [defined(), withdrawn(Some("unused"))];
    let wider = definition("reader", &["read:agents"]);
    given::<CustomRole>(events()).when(change(wider)).then_rejected(CustomRoleError::Withdrawn);
    given::<CustomRole>(events()).when(withdraw(None)).then([]);
    given::<CustomRole>(events()).when(withdraw(Some("x"))).then_rejected(CustomRoleError::WithdrawnOtherwise);
}

#[test]
fn the_number_of_changes_is_limited_and_a_role_can_always_be_withdrawn() {
    let (one, other) = (definition("one", &["read:agents"]), definition("other", &["read:agents"]));
    let changes = (0..CustomRole::MAX_CHANGES / 2).flat_map(|_| [changed(one.clone()), changed(other.clone())]);
    let mut events: Vec<_> = [defined()].into_iter().chain(changes).collect();
    given::<CustomRole>(events.clone()).when(change(one.clone())).then_rejected(CustomRoleError::TooManyChanges);
    given::<CustomRole>(events.clone()).when(withdraw(None)).then([withdrawn(None)]);
    events.pop();
    given::<CustomRole>(events).when(change(other.clone())).then([changed(other)]);
}
