use super::*;
use crate::testing::{at, body, given, uuid};

fn assignment(role: Role) -> Assignment {
    Assignment { holder: Holder::ServiceAccount(ServiceAccountId(uuid(1))), role }
}
fn grant(role: Role) -> RoleAssignmentCommand {
    RoleAssignmentCommand::Grant { assignment: assignment(role), at: at(0) }
}
fn granted() -> RoleAssignmentEvent {
    RoleAssignmentEvent::Granted(RoleGranted { assignment: assignment(Role::Viewer), at: at(0) })
}
fn revoke() -> RoleAssignmentCommand {
    RoleAssignmentCommand::Revoke { reason: Some(body("left the project")), at: at(1) }
}
fn revoked() -> RoleAssignmentEvent {
    RoleAssignmentEvent::Revoked(RoleRevoked { reason: Some(body("left the project")), at: at(1) })
}

#[test]
fn a_role_is_granted_revoked_and_granted_again() {
    given::<RoleAssignment>([]).when(grant(Role::Viewer)).then([granted()]);
    given::<RoleAssignment>([granted()]).when(grant(Role::Viewer)).then([]);
    assert!(!given::<RoleAssignment>([granted()]).when(revoke()).then([revoked()]).is_granted);
    given::<RoleAssignment>([granted(), revoked()]).when(revoke()).then([]);
    assert!(given::<RoleAssignment>([granted(), revoked()]).when(grant(Role::Viewer)).then([granted()]).is_granted);
}

#[test]
fn a_role_that_was_never_granted_cannot_be_revoked() {
    given::<RoleAssignment>([]).when(revoke()).then_rejected(RoleAssignmentError::NeverGranted);
}

#[test]
fn roles_of_the_installation_cannot_be_granted() {
    for role in Role::ALL.into_iter().filter(|role| !role.is_of_tenant()) {
        given::<RoleAssignment>([]).when(grant(role)).then_rejected(RoleAssignmentError::NotOfTenant(role));
    }
}

#[test]
fn a_stream_is_of_one_account_and_one_role() {
    given::<RoleAssignment>([granted()]).when(grant(Role::Admin)).then_rejected(RoleAssignmentError::OtherAssignment);
    let ids: std::collections::BTreeSet<_> = Role::ALL.map(|role| assignment(role).stream_id()).into();
    assert_eq!(ids.len(), Role::ALL.len());
    assert_eq!(assignment(Role::Viewer).stream_id().to_string(), "5c1e6ec6-6482-5256-9af9-f3108a7d0e80");
}

#[test]
fn an_assignment_names_exactly_one_holder() {
    let of_user = Assignment { holder: Holder::User(UserId(uuid(1))), role: Role::Viewer };
    for assignment in [of_user, assignment(Role::Viewer)] {
        let written = serde_json::to_string(&assignment).unwrap();
        assert_eq!(serde_json::from_str::<Assignment>(&written).unwrap(), assignment);
    }
    assert_ne!(of_user.stream_id(), assignment(Role::Viewer).stream_id());
    let (user, account) = (uuid(1), uuid(2));
    for wrong in [
        r#"{"role":"viewer"}"#.to_owned(),
        format!(r#"{{"user_id":"{user}","service_account_id":"{account}","role":"viewer"}}"#),
    ] {
        assert!(serde_json::from_str::<Assignment>(&wrong).is_err(), "{wrong}");
    }
}
