use super::*;
use crate::testing::{at, body, given, uuid};

fn terms(expires: i64) -> InvitationTerms {
    InvitationTerms { roles: [Role::Viewer].into(), expires_at: at(expires) }
}
fn created() -> InvitationEvent {
    InvitationEvent::Created(InvitationCreated { terms: terms(100), at: at(0) })
}
fn accept(user: u128, second: i64) -> InvitationCommand {
    InvitationCommand::Accept { user_id: UserId(uuid(user)), at: at(second) }
}
fn accepted() -> InvitationEvent {
    InvitationEvent::Accepted(InvitationAccepted { user_id: UserId(uuid(1)), at: at(1) })
}
fn revoke(reason: Option<&str>) -> InvitationCommand {
    InvitationCommand::Revoke { reason: reason.map(body), at: at(2) }
}
fn revoked(reason: Option<&str>) -> InvitationEvent {
    InvitationEvent::Revoked(InvitationRevoked { reason: reason.map(body), at: at(2) })
}

#[test]
fn an_invitation_is_created_once() {
    given::<Invitation>([]).when(InvitationCommand::Create { terms: terms(100), at: at(0) }).then([created()]);
    given::<Invitation>([created()]).when(InvitationCommand::Create { terms: terms(100), at: at(1) }).then([]);
    given::<Invitation>([created()])
        .when(InvitationCommand::Create { terms: terms(200), at: at(0) })
        .then_rejected(InvitationError::AlreadyCreated);
    given::<Invitation>([])
        .when(InvitationCommand::Create { terms: terms(0), at: at(0) })
        .then_rejected(InvitationError::ExpiresTooSoon { expires_at: at(0), at: at(0) });
    let of_installation = InvitationTerms { roles: [Role::InstallationOperator].into(), expires_at: at(9) };
    given::<Invitation>([])
        .when(InvitationCommand::Create { terms: of_installation, at: at(0) })
        .then_rejected(InvitationError::NotOfTenant(Role::InstallationOperator));
}

#[test]
fn an_invitation_is_accepted_once_and_in_time() {
    given::<Invitation>([created()]).when(accept(1, 1)).then([accepted()]);
    given::<Invitation>([created(), accepted()]).when(accept(1, 1)).then([]);
    given::<Invitation>([created(), accepted()])
        .when(accept(2, 1))
        .then_rejected(InvitationError::Accepted(UserId(uuid(1))));
    given::<Invitation>([created()]).when(accept(1, 100)).then_rejected(InvitationError::Expired(at(100)));
    given::<Invitation>([]).when(accept(1, 1)).then_rejected(InvitationError::NotCreated);
}

#[test]
fn a_revoked_invitation_cannot_be_accepted() {
    given::<Invitation>([created()]).when(revoke(Some("a mistake"))).then([revoked(Some("a mistake"))]);
    let is_revoked = || given::<Invitation>([created(), revoked(Some("a mistake"))]);
    is_revoked().when(revoke(None)).then([]);
    is_revoked().when(revoke(Some("other"))).then_rejected(InvitationError::AlreadyRevoked);
    is_revoked().when(accept(1, 3)).then_rejected(InvitationError::Revoked);
    given::<Invitation>([created(), accepted()])
        .when(revoke(None))
        .then_rejected(InvitationError::Accepted(UserId(uuid(1))));
    given::<Invitation>([]).when(revoke(None)).then_rejected(InvitationError::NotCreated);
}
