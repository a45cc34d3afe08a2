use super::*;
use crate::testing::{at, body, given, uuid};

fn create() -> UserCommand {
    UserCommand::Create { source: UserSource::Admin, invitation_id: None, at: at(0) }
}
fn created() -> UserEvent {
    UserEvent::Created(UserCreated { source: UserSource::Admin, invitation_id: None, at: at(0) })
}
fn set_password(id: u128) -> UserCommand {
    UserCommand::SetPassword { credential_id: uuid(id), link_id: None, at: at(1) }
}
fn password_set(id: u128) -> UserEvent {
    UserEvent::PasswordSet(UserPasswordSet { credential_id: uuid(id), link_id: None, at: at(1) })
}
fn totp_enabled(id: u128) -> UserEvent {
    UserEvent::TotpEnabled(UserTotpEnabled { credential_id: uuid(id), at: at(1) })
}
fn disable(reason: Option<&str>) -> UserCommand {
    UserCommand::Disable { reason: reason.map(body), at: at(2) }
}
fn disabled(reason: Option<&str>) -> UserEvent {
    UserEvent::Disabled(UserDisabled { reason: reason.map(body), at: at(2) })
}
fn deleted() -> UserEvent {
    UserEvent::Deleted(UserDeleted { at: at(3) })
}

#[test]
fn a_user_is_created_once() {
    let user = given::<User>([]).when(create()).then([created()]);
    assert!(user.is_active());
    given::<User>([created()]).when(create()).then([]);
    let other =
        UserCommand::Create { source: UserSource::Invitation, invitation_id: Some(InvitationId(uuid(9))), at: at(0) };
    given::<User>([created()]).when(other).then_rejected(UserError::AlreadyCreated);
}

#[test]
fn the_last_password_and_the_last_secret_count() {
    let user = given::<User>([created(), password_set(1)]).when(set_password(2)).then([password_set(2)]);
    assert_eq!(user.password, Some(uuid(2)));
    given::<User>([created(), password_set(1)]).when(set_password(1)).then([]);
    let enable = UserCommand::EnableTotp { credential_id: uuid(4), at: at(1) };
    let user = given::<User>([created(), totp_enabled(3)]).when(enable).then([totp_enabled(4)]);
    assert_eq!(user.totp, Some(uuid(4)));
    let off = || UserCommand::DisableTotp { at: at(2) };
    let disabled = UserEvent::TotpDisabled(UserTotpDisabled { at: at(2) });
    assert_eq!(given::<User>([created(), totp_enabled(3)]).when(off()).then([disabled]).totp, None);
    given::<User>([created()]).when(off()).then([]);
}

#[test]
fn a_link_sets_the_password_once_and_in_time() {
    let issue =
        |link: u128, expires: i64| UserCommand::IssueReset { link_id: uuid(link), expires_at: at(expires), at: at(1) };
    let issued =
        |link: u128| UserEvent::ResetIssued(UserResetIssued { link_id: uuid(link), expires_at: at(9), at: at(1) });
    let by_link = |link: u128, second: i64| UserCommand::SetPassword {
        credential_id: uuid(5),
        link_id: Some(uuid(link)),
        at: at(second),
    };
    let set = UserEvent::PasswordSet(UserPasswordSet { credential_id: uuid(5), link_id: Some(uuid(7)), at: at(2) });
    given::<User>([created()]).when(issue(7, 9)).then([issued(7)]);
    given::<User>([created(), issued(7)]).when(issue(7, 9)).then([]);
    given::<User>([created()])
        .when(issue(7, 1))
        .then_rejected(UserError::ExpiresTooSoon { expires_at: at(1), at: at(1) });
    given::<User>([created(), issued(7)]).when(by_link(7, 2)).then([set.clone()]);
    let not_valid = |events: Vec<UserEvent>, command| {
        given::<User>(events).when(command).then_rejected(UserError::LinkNotValid);
    };
    not_valid(vec![created()], by_link(7, 2));
    not_valid(vec![created(), issued(7)], by_link(7, 9));
    not_valid(vec![created(), issued(7), issued(8)], by_link(7, 2));
    // Used, or made useless by another password.
    let again = UserCommand::SetPassword { credential_id: uuid(6), link_id: Some(uuid(7)), at: at(3) };
    not_valid(vec![created(), issued(7), set], again.clone());
    not_valid(vec![created(), issued(7), password_set(1)], again);
}

#[test]
fn a_disabled_user_is_not_active_and_sets_no_password() {
    let user = given::<User>([created()]).when(disable(Some("left"))).then([disabled(Some("left"))]);
    assert!(!user.is_active());
    let is_disabled = || given::<User>([created(), disabled(Some("left"))]);
    is_disabled().when(disable(None)).then([]);
    is_disabled().when(disable(Some("left"))).then([]);
    is_disabled().when(disable(Some("other"))).then_rejected(UserError::AlreadyDisabled);
    is_disabled().when(set_password(1)).then_rejected(UserError::Disabled);
    let enabled = UserEvent::Enabled(UserEnabled { at: at(4) });
    assert!(is_disabled().when(UserCommand::Enable { at: at(4) }).then([enabled]).is_active());
}

#[test]
fn a_deleted_user_stays_deleted() {
    let user = given::<User>([created(), password_set(1)]).when(UserCommand::Delete { at: at(3) }).then([deleted()]);
    assert!(!user.is_active() && user.password.is_none());
    given::<User>([created(), deleted()]).when(UserCommand::Delete { at: at(5) }).then([]);
    for command in [set_password(1), disable(None), UserCommand::Enable { at: at(4) }] {
        given::<User>([created(), deleted()]).when(command).then_rejected(UserError::Deleted);
    }
}

#[test]
fn nothing_is_done_to_a_user_who_does_not_exist() {
    for command in [
        set_password(1),
        UserCommand::EnableTotp { credential_id: uuid(1), at: at(1) },
        UserCommand::DisableTotp { at: at(1) },
        disable(None),
        UserCommand::Enable { at: at(1) },
        UserCommand::Delete { at: at(1) },
    ] {
        given::<User>([]).when(command).then_rejected(UserError::NotCreated);
    }
}

fn link(id: u128) -> UserCommand {
    UserCommand::LinkIdentity { identity_id: uuid(id), provider: "okta".parse().unwrap(), at: at(1) }
}
fn linked(id: u128) -> UserEvent {
    UserEvent::IdentityLinked(UserIdentityLinked {
        identity_id: uuid(id),
        provider: "okta".parse().unwrap(),
        at: at(1),
    })
}

#[test]
fn identities_are_linked_once_up_to_a_limit_until_the_user_is_deleted() {
    given::<User>([]).when(link(1)).then_rejected(UserError::NotCreated);
    given::<User>([created()]).when(link(1)).then([linked(1)]);
    given::<User>([created(), linked(1)]).when(link(1)).then([]);
    let full: Vec<_> = (0..MAX_LINKED_IDENTITIES as u128).map(linked).collect();
    let full = || std::iter::once(created()).chain(full.clone());
    given::<User>(full()).when(link(0)).then([]);
    given::<User>(full()).when(link(99)).then_rejected(UserError::TooManyIdentities { limit: MAX_LINKED_IDENTITIES });
    let deleted = UserEvent::Deleted(UserDeleted { at: at(2) });
    let state = given::<User>([created(), linked(1)]).when(UserCommand::Delete { at: at(2) }).then([deleted]);
    assert!(state.identities.is_empty());
}
