use super::*;
use crate::testing::{at, body, given, name, uuid};

fn user(number: u128) -> Member {
    Member::User(UserId(uuid(number)))
}
fn account(number: u128) -> Member {
    Member::ServiceAccount(ServiceAccountId(uuid(number)))
}
fn create(text: &str) -> TeamCommand {
    TeamCommand::Create { name: name(text), at: at(0) }
}
fn created() -> TeamEvent {
    TeamEvent::Created(TeamCreated { name: name("research"), at: at(0) })
}
fn rename(text: &str) -> TeamCommand {
    TeamCommand::Rename { name: name(text), at: at(1) }
}
fn renamed(text: &str) -> TeamEvent {
    TeamEvent::Renamed(TeamRenamed { name: name(text), at: at(1) })
}
fn add(member: Member) -> TeamCommand {
    TeamCommand::AddMember { member, at: at(2) }
}
fn added(member: Member) -> TeamEvent {
    TeamEvent::MemberAdded(TeamMemberAdded { member, at: at(2) })
}
fn remove(member: Member) -> TeamCommand {
    TeamCommand::RemoveMember { member, at: at(3) }
}
fn removed(member: Member) -> TeamEvent {
    TeamEvent::MemberRemoved(TeamMemberRemoved { member, at: at(3) })
}
fn close(reason: Option<&str>) -> TeamCommand {
    TeamCommand::Close { reason: reason.map(body), at: at(4) }
}
fn closed(reason: Option<&str>) -> TeamEvent {
    TeamEvent::Closed(TeamClosed { reason: reason.map(body), at: at(4) })
}

fn agent(number: u128) -> AgentId {
    AgentId(uuid(number))
}
fn add_agent(agent_id: AgentId) -> TeamCommand {
    TeamCommand::AddAgent { agent_id, at: at(2) }
}
fn agent_added(agent_id: AgentId) -> TeamEvent {
    TeamEvent::AgentAdded(TeamAgentAdded { agent_id, at: at(2) })
}
fn remove_agent(agent_id: AgentId) -> TeamCommand {
    TeamCommand::RemoveAgent { agent_id, at: at(3) }
}
fn agent_removed(agent_id: AgentId) -> TeamEvent {
    TeamEvent::AgentRemoved(TeamAgentRemoved { agent_id, at: at(3) })
}

#[test]
fn a_team_is_created_once_and_renamed() {
    let team = given::<Team>([]).when(create("research")).then([created()]);
    assert!(team.is_active() && team.members.is_empty());
    given::<Team>([created()]).when(create("research")).then([]);
    given::<Team>([created()]).when(create("sales")).then_rejected(TeamError::AlreadyCreated);
    given::<Team>([created()]).when(rename("research")).then([]);
    let team = given::<Team>([created()]).when(rename("science")).then([renamed("science")]);
    assert_eq!(team.name, Some(name("science")));
}

#[test]
fn a_team_that_does_not_exist_rejects_everything_else() {
    for command in
        [rename("x"), add(user(1)), remove(user(1)), add_agent(agent(1)), remove_agent(agent(1)), close(None)]
    {
        given::<Team>([]).when(command).then_rejected(TeamError::NotCreated);
    }
}

#[test]
fn members_are_added_and_removed_once() {
    let team = given::<Team>([created()]).when(add(user(1))).then([added(user(1))]);
    assert_eq!(team.members, [user(1)].into());
    given::<Team>([created(), added(user(1))]).when(add(user(1))).then([]);
    // A user and an account with the same UUID are two members.
    given::<Team>([created(), added(user(1))]).when(add(account(1))).then([added(account(1))]);
    let team = given::<Team>([created(), added(user(1))]).when(remove(user(1))).then([removed(user(1))]);
    assert!(team.members.is_empty());
    given::<Team>([created(), added(user(1))]).when(remove(account(1))).then([]);
    given::<Team>([created(), added(user(1)), removed(user(1))]).when(add(user(1))).then([added(user(1))]);
}

#[test]
fn a_closed_team_stays_closed() {
    let team = given::<Team>([created(), added(user(1))]).when(close(Some("merged"))).then([closed(Some("merged"))]);
    assert!(!team.is_active());
    let events = [created(), added(user(1)), closed(Some("merged"))];
    for command in [rename("x"), add(user(2)), remove(user(1)), add_agent(agent(2)), remove_agent(agent(1))] {
        given::<Team>(events.clone()).when(command).then_rejected(TeamError::Closed);
    }
    given::<Team>(events.clone()).when(close(None)).then([]);
    given::<Team>(events.clone()).when(close(Some("merged"))).then([]);
    given::<Team>(events).when(close(Some("other"))).then_rejected(TeamError::ClosedOtherwise);
}

/// The agents of a team are no members of it.
#[test]
fn agents_are_added_and_removed_once() {
    let team = given::<Team>([created()]).when(add_agent(agent(1))).then([agent_added(agent(1))]);
    assert_eq!((team.agents, team.members.len()), ([agent(1)].into(), 0));
    given::<Team>([created(), agent_added(agent(1))]).when(add_agent(agent(1))).then([]);
    let both = [created(), agent_added(agent(1)), agent_added(agent(2))];
    let team = given::<Team>(both).when(remove_agent(agent(1))).then([agent_removed(agent(1))]);
    assert_eq!(team.agents, [agent(2)].into());
    given::<Team>([created()]).when(remove_agent(agent(1))).then([]);
}

#[test]
fn the_number_of_agents_is_limited() {
    let full: Vec<_> = (0..Team::MAX_AGENTS as u128).map(|number| agent_added(agent(number))).collect();
    let events = || [created()].into_iter().chain(full.clone());
    let other = agent(Team::MAX_AGENTS as u128);
    given::<Team>(events()).when(add_agent(other)).then_rejected(TeamError::TooManyAgents);
    given::<Team>(events()).when(add_agent(agent(0))).then([]);
    given::<Team>(events()).when(add(user(1))).then([added(user(1))]);
    given::<Team>(events().chain([agent_removed(agent(0))])).when(add_agent(other)).then([agent_added(other)]);
}

#[test]
fn the_number_of_members_is_limited() {
    let full: Vec<_> = (0..Team::MAX_MEMBERS as u128).map(|number| added(user(number))).collect();
    let events = || [created()].into_iter().chain(full.clone());
    given::<Team>(events()).when(add(account(0))).then_rejected(TeamError::TooManyMembers);
    given::<Team>(events()).when(add(user(0))).then([]);
    given::<Team>(events().chain([removed(user(0))])).when(add(account(0))).then([added(account(0))]);
}

/// The number of events is bounded, and a member or an agent can be removed from any team that is not closed.
#[test]
fn the_number_of_changes_is_limited_and_members_can_always_be_removed() {
    let changes = (0..Team::MAX_CHANGES / 2).flat_map(|_| [renamed("a"), renamed("b")]);
    let mut events: Vec<_> = [created(), agent_added(agent(1)), added(user(1))].into_iter().chain(changes).collect();
    events.truncate(events.len() - 2);
    given::<Team>(events.clone()).when(add(user(2))).then_rejected(TeamError::TooManyChanges);
    given::<Team>(events.clone()).when(rename("c")).then_rejected(TeamError::TooManyChanges);
    given::<Team>(events.clone()).when(add_agent(agent(2))).then_rejected(TeamError::TooManyChanges);
    given::<Team>(events.clone()).when(remove(user(1))).then([removed(user(1))]);
    given::<Team>(events.clone()).when(remove_agent(agent(1))).then([agent_removed(agent(1))]);
    given::<Team>(events.clone()).when(close(None)).then([closed(None)]);
    events.pop();
    given::<Team>(events.clone()).when(add_agent(agent(2))).then([agent_added(agent(2))]);
    given::<Team>(events).when(add(user(2))).then([added(user(2))]);
}

#[test]
fn a_member_is_written_with_its_kind() {
    let written = serde_json::to_string(&user(1)).unwrap();
    assert_eq!(written, r#"{"kind":"user","id":"00000000-0000-0000-0000-000000000001"}"#);
    assert_eq!(serde_json::from_str::<Member>(&written).unwrap(), user(1));
    assert!(serde_json::from_str::<Member>(&written.replace("user", "team")).is_err());
}
