use super::*;
use crate::codec::EventCodec as _;
use crate::ids::AgentId;
use crate::testing::{at, body, given, uuid};
use std::collections::BTreeSet;

const ACCOUNT: Holder = Holder::ServiceAccount(ServiceAccountId(uuid(1)));

fn assignment(role: Role) -> Assignment {
    Assignment::on_tenant(ACCOUNT, AssignedRole::BuiltIn(role))
}
fn grant(assignment: Assignment) -> RoleAssignmentCommand {
    RoleAssignmentCommand::Grant { assignment, at: at(0) }
}
fn granted() -> RoleAssignmentEvent {
    RoleAssignmentEvent::Granted(RoleGranted { assignment: assignment(Role::Viewer), at: at(0) })
}
fn revoke() -> RoleAssignmentCommand {
    RoleAssignmentCommand::Revoke { reason: Some(body("left the project")), at: at(1) }
}
fn revoked() -> RoleAssignmentEvent {
    let assignment = assignment(Role::Viewer);
    RoleAssignmentEvent::Revoked(RoleRevoked { assignment, reason: Some(body("left the project")), at: at(1) })
}

#[test]
fn a_role_is_granted_revoked_and_granted_again() {
    let viewer = || grant(assignment(Role::Viewer));
    given::<RoleAssignment>([]).when(viewer()).then([granted()]);
    given::<RoleAssignment>([granted()]).when(viewer()).then([]);
    assert!(!given::<RoleAssignment>([granted()]).when(revoke()).then([revoked()]).is_granted);
    given::<RoleAssignment>([granted(), revoked()]).when(revoke()).then([]);
    assert!(given::<RoleAssignment>([granted(), revoked()]).when(viewer()).then([granted()]).is_granted);
}

#[test]
fn a_role_that_was_never_granted_cannot_be_revoked() {
    given::<RoleAssignment>([]).when(revoke()).then_rejected(RoleAssignmentError::NeverGranted);
}

#[test]
fn roles_of_the_installation_cannot_be_granted() {
    for role in Role::ALL.into_iter().filter(|role| !role.is_of_tenant()) {
        for holder in [ACCOUNT, Holder::User(UserId(uuid(1))), Holder::Team(TeamId(uuid(1)))] {
            let assignment = Assignment::on_tenant(holder, AssignedRole::BuiltIn(role));
            given::<RoleAssignment>([]).when(grant(assignment)).then_rejected(RoleAssignmentError::NotOfTenant(role));
        }
    }
}

/// Also if the same UUID is that of an account, a user and a team.
#[test]
fn a_stream_is_of_one_holder_and_one_role() {
    let other = grant(assignment(Role::Admin));
    given::<RoleAssignment>([granted()]).when(other).then_rejected(RoleAssignmentError::OtherAssignment);
    let holders = [ACCOUNT, Holder::User(UserId(uuid(1))), Holder::Team(TeamId(uuid(1)))];
    let custom = [AssignedRole::Custom(RoleId(uuid(1))), AssignedRole::Custom(RoleId(uuid(2)))];
    let roles: Vec<_> = Role::ALL.map(AssignedRole::BuiltIn).into_iter().chain(custom).collect();
    let all = holders.into_iter().flat_map(|holder| roles.iter().map(move |role| Assignment::on_tenant(holder, *role)));
    let ids: BTreeSet<_> = all.map(|assignment| assignment.stream_id()).collect();
    assert_eq!(ids.len(), holders.len() * roles.len());
    assert_eq!(assignment(Role::Viewer).stream_id().to_string(), "92c8fa09-9047-50c7-a586-d6038bcc32a8");
}

/// The last event is enough.
#[test]
fn the_last_event_restores_the_state() {
    let restore = RoleAssignment::RESTORE.unwrap();
    for events in [vec![granted()], vec![granted(), revoked()], vec![granted(), revoked(), granted()]] {
        let folded = events.iter().fold(RoleAssignment::default(), |state, event| state.evolve(event));
        assert_eq!(restore(events.last().unwrap()), folded);
    }
}

#[test]
fn a_role_is_read_as_it_is_written() {
    let custom = AssignedRole::Custom(RoleId(uuid(7)));
    for role in [AssignedRole::BuiltIn(Role::Billing), custom] {
        assert_eq!(role.to_string().parse(), Ok(role));
        let written = serde_json::to_string(&role).unwrap();
        assert_eq!(serde_json::from_str::<AssignedRole>(&written).unwrap(), role);
    }
    for wrong in ["", "system", "installation operator", "Admin", "018bd12c"] {
        assert!(wrong.parse::<AssignedRole>().is_err(), "{wrong:?}");
    }
    // An extent that this program does not know is not read as the whole tenant.
    let written = serde_json::to_string(&assignment(Role::Viewer)).unwrap();
    assert!(serde_json::from_str::<Assignment>(&written).is_ok());
    for narrower in [r#""extent":"agent""#, r#""extents":"tenant""#] {
        let narrower = written.replace(r#""extent":"tenant""#, narrower);
        assert!(serde_json::from_str::<Assignment>(&narrower).is_err(), "{narrower}");
    }
}

#[test]
fn an_extent_is_read_as_it_is_written() {
    let all = [RoleExtent::Tenant, RoleExtent::Agent(AgentId(uuid(7))), RoleExtent::Team(TeamId(uuid(7)))];
    for extent in all {
        assert_eq!(extent.to_string().parse(), Ok(extent));
        let written = serde_json::to_string(&extent).unwrap();
        assert_eq!(serde_json::from_str::<RoleExtent>(&written).unwrap(), extent);
        assert!(RoleExtent::FIRST <= extent && extent <= RoleExtent::LAST);
        assert_eq!(RoleExtent::of(extent.agent(), extent.team()), Some(extent));
    }
    assert_eq!(RoleExtent::of(Some(AgentId(uuid(7))), Some(TeamId(uuid(7)))), None);
    for wrong in ["", "Tenant", "team", "team 7", "user 018bd12c-58b0-7683-8a5b-8752d0e86651"] {
        assert!(wrong.parse::<RoleExtent>().is_err(), "{wrong:?}");
    }
    // Each has a stream of its own.
    let streams = all.map(|extent| Assignment { extent, ..assignment(Role::Viewer) }.stream_id());
    assert_eq!(BTreeSet::from(streams).len(), 3);
}

/// Events that were written before there were roles on teams are read as they were meant. A program that knows those only does not
/// read a role on a team as something else.
#[test]
fn events_of_version_1_are_read_and_have_no_teams() {
    let on_agent = Assignment { extent: RoleExtent::Agent(AgentId(uuid(7))), ..assignment(Role::Viewer) };
    for assignment in [assignment(Role::Viewer), on_agent] {
        let granted = RoleAssignmentEvent::Granted(RoleGranted { assignment, at: at(0) });
        let revoked = RoleAssignmentEvent::Revoked(RoleRevoked { assignment, reason: Some(body("x")), at: at(1) });
        for event in [granted, revoked] {
            let (name, payload) = (event.event_type().name, event.encode().unwrap());
            assert_eq!(RoleAssignmentEvent::decode(name, 1, &payload).unwrap(), event);
        }
    }
    let on_team = Assignment { extent: RoleExtent::Team(TeamId(uuid(7))), ..assignment(Role::Viewer) };
    let granted = RoleAssignmentEvent::Granted(RoleGranted { assignment: on_team, at: at(0) });
    let payload = granted.encode().unwrap();
    assert_eq!(granted.event_type().schema_version, 2);
    assert_eq!(RoleAssignmentEvent::decode("role.granted", 2, &payload).unwrap(), granted);
    assert!(RoleAssignmentEvent::decode("role.granted", 1, &payload).is_err());
}
