//! Random histories of accounts, teams, custom roles and grants, against a model that knows sets only: what the directory
//! gives, what the access review says, and who is the last admin.

use super::*;
use crate::directory::state::review::{Basis, ReviewRow};
use domain::custom_role::{CustomRole, CustomRoleCommand, RoleDefinition};
use domain::permissions::{
    Permission, PermissionSet, ReadAccessLog, ReadAlertEndpoints, ReadAllocation, ReadBudgets, ReadCalls, ReadContents,
    ReadEvents, ReadIdentities, ReadInvoices, ReadMemories, ReadPrices, ReadReports, ReadSchedules, ReadTagKeys,
    ReadTasks,
};
use domain::role_assignment::{RoleAssignmentCommand, RoleExtent};
use domain::service_account::ServiceAccountCommand;
use domain::team::{Team, TeamCommand};
use domain::{AgentId, RoleId, TeamId, UserId};
use std::collections::BTreeMap;

const ACCOUNTS: u8 = 3;
const USERS: u8 = 2;
const TEAMS: u8 = 3;
const ROLES: u8 = 3;

fn id(kind: u128, number: u8) -> Uuid {
    Uuid::from_u128(kind << 64 | u128::from(number))
}
fn account_id(number: u8) -> ServiceAccountId {
    ServiceAccountId(id(1, number % ACCOUNTS))
}
fn member(number: u8) -> Member {
    match number % (ACCOUNTS + USERS) {
        number if number < ACCOUNTS => Member::ServiceAccount(account_id(number)),
        number => Member::User(UserId(id(2, number - ACCOUNTS))),
    }
}
fn holder(number: u8) -> Holder {
    match number % (ACCOUNTS + USERS + TEAMS) {
        number if number < ACCOUNTS + USERS => member(number).into(),
        number => Holder::Team(TeamId(id(3, number - ACCOUNTS - USERS))),
    }
}
fn role(number: u8) -> AssignedRole {
    let of_tenant: Vec<_> = Role::ALL.into_iter().filter(|role| role.is_of_tenant()).collect();
    match usize::from(number) % (of_tenant.len() + usize::from(ROLES) * 2) {
        number if number < of_tenant.len() => AssignedRole::BuiltIn(of_tenant[number]),
        number => AssignedRole::Custom(RoleId(id(4, u8::try_from(number).unwrap() % ROLES))),
    }
}
/// The key of an account, and whether it has all permissions of the account.
fn key_id(number: u8, is_unrestricted: bool) -> ApiKeyId {
    ApiKeyId(id(if is_unrestricted { 5 } else { 6 }, number % ACCOUNTS))
}

/// What a history has done, as sets.
#[derive(Default)]
struct Model {
    accounts: BTreeMap<ServiceAccountId, bool>,
    teams: BTreeMap<TeamId, BTreeSet<Member>>,
    roles: BTreeMap<RoleId, BTreeSet<Permission>>,
    granted: BTreeSet<(Holder, AssignedRole)>,
}

impl Model {
    fn role_has(&self, role: AssignedRole, permission: Permission) -> bool {
        match role {
            AssignedRole::BuiltIn(role) => permission.is_of(role),
            AssignedRole::Custom(id) => self.roles.get(&id).is_some_and(|role| role.contains(&permission)),
        }
    }

    fn has(&self, member: Member, permission: Permission) -> bool {
        self.granted.iter().any(|(holder, role)| {
            let is_holder = match holder {
                Holder::Team(id) => self.teams.get(id).is_some_and(|members| members.contains(&member)),
                direct => *direct == Holder::from(member),
            };
            is_holder && self.role_has(*role, permission)
        })
    }

    fn is_active(&self, member: Member) -> bool {
        match member {
            Member::ServiceAccount(id) => self.accounts.get(&id) == Some(&true),
            Member::User(_) => true,
        }
    }

    fn has_admin(&self) -> bool {
        let manages: Permission = "command:identities".parse().unwrap();
        (0..ACCOUNTS + USERS).map(member).any(|member| self.is_active(member) && self.has(member, manages))
    }
}

/// A history with its model, and the aggregates that decide what is possible.
#[derive(Default)]
struct World {
    events: Vec<RecordedEvent>,
    model: Model,
    accounts: HashMap<Uuid, ServiceAccount>,
    teams: HashMap<Uuid, Team>,
    roles: HashMap<Uuid, CustomRole>,
    assignments: HashMap<Uuid, RoleAssignment>,
}

/// A number for the kind of step, and three for what it is about.
type Step = (u8, u8, u8, u8);

/// Decides a command, and notes its events. Returns whether it was accepted.
fn decide<A: Aggregate>(
    events: &mut Vec<RecordedEvent>,
    states: &mut HashMap<Uuid, A>,
    id: Uuid,
    command: A::Command,
) -> bool {
    let state = states.entry(id).or_default();
    let Ok(decided) = state.decide(command) else { return false };
    for event in decided {
        *state = std::mem::take(state).evolve(&event);
        events.push(recorded::<A>(&acme(), id, &event));
    }
    true
}

impl World {
    fn of(steps: &[Step]) -> Self {
        let mut world = Self { events: vec![created()], ..Self::default() };
        for number in 0..ACCOUNTS {
            for is_unrestricted in [true, false] {
                let only = ["read:agents", "command:identities"].map(|name| name.parse::<Permission>().unwrap());
                let scopes = if is_unrestricted { Scopes::All } else { Scopes::Only(only.into_iter().collect()) };
                let service_account_id = account_id(number);
                let terms = KeyTerms { service_account_id, scopes, agent_id: None, team_id: None, expires_at: None };
                let event = ApiKeyEvent::Created(ApiKeyCreated { terms, at: at(0) });
                world.events.push(recorded::<ApiKey>(&acme(), key_id(number, is_unrestricted).0, &event));
            }
        }
        steps.iter().for_each(|step| world.step(*step));
        world
    }

    fn step(&mut self, (kind, a, b, c): Step) {
        let Self { events, model, accounts, teams, roles, assignments } = self;
        let (account, team, custom) = (account_id(a), TeamId(id(3, a % TEAMS)), RoleId(id(4, a % ROLES)));
        let (name, at) = (domain::Name::new("n").unwrap(), at(0));
        let assignment = Assignment::on_tenant(holder(b), role(c));
        match kind % 20 {
            0 | 1 => {
                if decide(events, accounts, account.0, ServiceAccountCommand::Create { name, at }) {
                    model.accounts.entry(account).or_insert(true);
                }
            }
            2 => {
                if decide(events, accounts, account.0, ServiceAccountCommand::Disable { reason: None, at }) {
                    model.accounts.insert(account, false);
                }
            }
            3 => {
                if decide(events, accounts, account.0, ServiceAccountCommand::Enable { at }) {
                    model.accounts.insert(account, true);
                }
            }
            4 => {
                let is_new = !teams.contains_key(&team.0) || teams[&team.0].name.is_none();
                if decide(events, teams, team.0, TeamCommand::Create { name, at }) && is_new {
                    model.teams.insert(team, BTreeSet::new());
                }
            }
            5..=7 => {
                if decide(events, teams, team.0, TeamCommand::AddMember { member: member(b), at }) {
                    model.teams.get_mut(&team).unwrap().insert(member(b));
                }
            }
            8 => {
                if decide(events, teams, team.0, TeamCommand::RemoveMember { member: member(b), at }) {
                    model.teams.get_mut(&team).unwrap().remove(&member(b));
                }
            }
            9 if c < 64 => {
                if decide(events, teams, team.0, TeamCommand::Close { reason: None, at }) {
                    model.teams.remove(&team);
                }
            }
            9..=12 => self.define(custom, u64::from(b) << 8 | u64::from(c)),
            13 if c < 64 => {
                if decide(events, roles, custom.0, CustomRoleCommand::Withdraw { reason: None, at }) {
                    model.roles.remove(&custom);
                }
            }
            14 => {
                let revoke = RoleAssignmentCommand::Revoke { reason: None, at };
                if decide(events, assignments, assignment.stream_id(), revoke) {
                    model.granted.remove(&(assignment.holder, assignment.role));
                }
            }
            _ => {
                let grant = RoleAssignmentCommand::Grant { assignment, at };
                if decide(events, assignments, assignment.stream_id(), grant) {
                    model.granted.insert((assignment.holder, assignment.role));
                }
            }
        }
    }

    /// Defines a custom role, or changes it.
    fn define(&mut self, custom: RoleId, mask: u64) {
        let of_tenant = Permission::all().filter(|permission| permission.is_of_tenant()).enumerate();
        let permissions: BTreeSet<_> =
            of_tenant.filter(|(at, _)| mask >> (at % 16) & 1 == 1).map(|(_, permission)| permission).collect();
        let (name, at) = (domain::Name::new("n").unwrap(), at(0));
        let definition = RoleDefinition { name, permissions: permissions.iter().copied().collect() };
        let command = match self.roles.get(&custom.0) {
            Some(role) if role.definition.is_some() => CustomRoleCommand::Change { definition, at },
            Some(_) | None => CustomRoleCommand::Define { definition, at },
        };
        if decide(&mut self.events, &mut self.roles, custom.0, command) {
            self.model.roles.insert(custom, permissions);
        }
    }

    /// The fold of the history, in a tenant with all users.
    fn state(&self) -> State {
        let mut state = fold(&self.events);
        for user in 0..USERS {
            let created = UserCreated { source: UserSource::Admin, invitation_id: None, at: at(0) };
            state.apply(&recorded::<User>(&acme(), user_id(user).0, &UserEvent::Created(created)));
        }
        state
    }
}

fn user_id(number: u8) -> UserId {
    match member(ACCOUNTS + number % USERS) {
        Member::User(user) => user,
        Member::ServiceAccount(_) => panic!("accounts come before users"),
    }
}

/// Decides one permission as every caller does, by the type of the action or the category of the aggregate. None for
/// `read_own`, which only a bound credential uses.
fn is_authorised(principal: &Principal, permission: Permission) -> Option<bool> {
    let sends = |category| principal.authorise_on::<SendCommand>(category, Uuid::nil()).is_ok();
    Some(match permission.to_string().as_str() {
        "read:agents" => principal.authorise::<ReadAgents>().is_ok(),
        "read:tasks" => principal.authorise::<ReadTasks>().is_ok(),
        "read:calls" => principal.authorise::<ReadCalls>().is_ok(),
        "read:prices" => principal.authorise::<ReadPrices>().is_ok(),
        "read:tag_keys" => principal.authorise::<ReadTagKeys>().is_ok(),
        "read:allocation" => principal.authorise::<ReadAllocation>().is_ok(),
        "read:invoices" => principal.authorise::<ReadInvoices>().is_ok(),
        "read:alert_endpoints" => principal.authorise::<ReadAlertEndpoints>().is_ok(),
        "read:schedules" => principal.authorise::<ReadSchedules>().is_ok(),
        "read:budgets" => principal.authorise::<ReadBudgets>().is_ok(),
        "read:spending" => {
            principal.authorise_on::<domain::permissions::ReadData>("budget_balance", Uuid::nil()).is_ok()
        }
        "read:memories" => principal.authorise::<ReadMemories>().is_ok(),
        "read:identities" => principal.authorise::<ReadIdentities>().is_ok(),
        "read:reports" => principal.authorise::<ReadReports>().is_ok(),
        "read:events" => principal.authorise::<ReadEvents>().is_ok(),
        "read:contents" => principal.authorise::<ReadContents>().is_ok(),
        "read:access_log" => principal.authorise::<ReadAccessLog>().is_ok(),
        "command:access_log" => sends("access_log"),
        "command:agents" => sends("agent"),
        "command:tasks" => sends("task"),
        "command:calls" => sends("call"),
        "command:prices" => sends("price_book"),
        "command:tag_keys" => sends("tag_keys"),
        "command:allocation" => sends("allocation_rules"),
        "command:invoices" => sends("invoice"),
        "command:alert_endpoints" => sends("alert_endpoints"),
        "command:schedules" => sends("schedule"),
        "command:budgets" => sends("budget"),
        "command:spending" => sends("budget_balance"),
        "command:memories" => sends("memory"),
        "command:identities" => sends("role_assignment") && sends("team") && sends("role") && sends("api_key"),
        "read:tenants" => principal.authorise_on::<domain::permissions::ReadData>("tenant", Uuid::nil()).is_ok(),
        "command:tenants" => principal.authorise_on::<SendCommand>("tenant", Uuid::nil()).is_ok(),
        other if other.starts_with("read_own:") => return None,
        // Those of the installation.
        _ => principal.check(permission.action()).is_ok() && !permission.is_of_tenant(),
    })
}

/// What an access review says wrongly of the principals that the directory makes: one permission of a key, or of the grants of
/// an account.
fn mismatches(state: &State, review: &[ReviewRow]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for number in 0..ACCOUNTS {
        for is_unrestricted in [true, false] {
            let id = key_id(number, is_unrestricted);
            let principal = state.principal(id, at(1)).ok();
            let of_key = |row: &&ReviewRow| matches!(&row.basis, Basis::Key(key) if key.id == id);
            let account = Member::ServiceAccount(account_id(number));
            let of_account = |row: &&ReviewRow| row.holder == account && matches!(row.basis, Basis::Grant(_));
            for permission in Permission::all() {
                let Some(expected) = principal.as_ref().map_or(Some(false), |one| is_authorised(one, permission))
                else {
                    continue;
                };
                let says = |row: &ReviewRow| row.permissions.contains(permission);
                if review.iter().filter(of_key).any(says) != expected {
                    found.insert(format!("key {id}: {permission}"));
                }
                if is_unrestricted && review.iter().filter(of_account).any(says) != expected {
                    found.insert(format!("{account}: {permission}"));
                }
            }
            if review.iter().filter(of_key).count() != usize::from(principal.is_some()) {
                found.insert(format!("key {id}: rows"));
            }
        }
    }
    found
}

fn review(state: &State) -> Vec<ReviewRow> {
    state.review(&acme(), None, at(1)).collect()
}

/// The model's answer for each account and user.
fn wrong_permissions(state: &State, model: &Model) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    for member in (0..ACCOUNTS + USERS).map(member) {
        let permissions = state.permissions_of(&acme(), member.into());
        for permission in Permission::all() {
            if permissions.on_tenant.contains(permission) != model.has(member, permission) {
                wrong.insert(format!("{member}: {permission}"));
            }
        }
    }
    wrong
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(any::<Step>(), 0..80)
}

proptest! {
    #[test]
    fn the_directory_gives_what_a_model_of_sets_gives(steps in steps()) {
        let world = World::of(&steps);
        let state = world.state();
        prop_assert_eq!(wrong_permissions(&state, &world.model), BTreeSet::new());
        for number in 0..ACCOUNTS {
            let principal = state.principal(key_id(number, true), at(1));
            let is_active = world.model.is_active(Member::ServiceAccount(account_id(number)));
            prop_assert_eq!(principal.is_ok(), is_active);
        }
        // Nothing of it holds in another tenant.
        for holder in (0..ACCOUNTS + USERS + TEAMS).map(holder) {
            prop_assert!(state.permissions_of(&other(), holder).is_empty());
        }
        prop_assert_eq!(state.assignments(&other(), None, None, None).count(), 0);
        prop_assert_eq!(state.review(&other(), None, at(1)).count(), 0);
    }

    /// At the start the events are read category by category.
    #[test]
    fn the_order_of_categories_does_not_matter(steps in steps()) {
        let mut world = World::of(&steps);
        world.events.sort_by(|one, other| {
            (&*one.stream.category, one.stream.id).cmp(&(&*other.stream.category, other.stream.id))
        });
        prop_assert_eq!(wrong_permissions(&world.state(), &world.model), BTreeSet::new());
    }

    #[test]
    fn the_access_review_says_what_principals_are_allowed(steps in steps()) {
        let world = World::of(&steps);
        let state = world.state();
        let rows = review(&state);
        prop_assert_eq!(mismatches(&state, &rows), BTreeSet::new());
        // Users have no credential here: their rows are those of the model.
        for member in (0..ACCOUNTS + USERS).map(member).filter(|member| world.model.is_active(*member)) {
            for permission in Permission::all() {
                let of_member = rows.iter().filter(|row| row.holder == member && matches!(row.basis, Basis::Grant(_)));
                let says = of_member.into_iter().any(|row| row.permissions.contains(permission));
                prop_assert_eq!(says, world.model.has(member, permission));
            }
        }
        // Page by page it has the same rows, in the same order.
        let (mut paged, mut after) = (Vec::new(), None);
        while let Some(row) = state.review(&acme(), after, at(1)).next() {
            prop_assert_eq!(row.key().to_string().parse(), Ok(row.key()));
            after = Some(row.key());
            paged.push(row);
        }
        prop_assert!(paged == rows, "{} rows by page, {} at once", paged.len(), rows.len());
    }

    /// Lists by holder, by role and by page have what was granted.
    #[test]
    fn lists_of_assignments_have_what_was_granted(steps in steps(), b: u8, c: u8) {
        let world = World::of(&steps);
        let state = world.state();
        let list = |of_holder: Option<Holder>, of_role: Option<AssignedRole>| {
            let (mut found, mut after) = (Vec::new(), None);
            while let Some((held, _)) = state.assignments(&acme(), of_holder, of_role, after).next() {
                after = Some(held);
                found.push((held.0, held.1));
            }
            found
        };
        for (of_holder, of_role) in [(None, None), (Some(holder(b)), None), (None, Some(role(c))), (Some(holder(b)), Some(role(c)))] {
            let is_listed = |(holder, role): &&(Holder, AssignedRole)| {
                of_holder.is_none_or(|of| of == *holder) && of_role.is_none_or(|of| of == *role)
            };
            let expected: Vec<_> = world.model.granted.iter().filter(is_listed).copied().collect();
            prop_assert_eq!(list(of_holder, of_role), expected);
        }
    }

    /// The admin that is left after a loss is found if there is one: the model with the change has an admin.
    #[test]
    fn the_last_admin_is_known(steps in steps(), a: u8, b: u8, c: u8) {
        let world = World::of(&steps);
        let state = world.state();
        prop_assert_eq!(state.admin_after(&acme(), None).is_some(), world.model.has_admin());
        let (team, custom) = (TeamId(id(3, a % TEAMS)), RoleId(id(4, a % ROLES)));
        let assignment = Assignment::on_tenant(holder(b), role(c));
        for loss in [
            Loss::Assignment(assignment),
            Loss::Member(team, member(b)),
            Loss::Team(team),
            Loss::Role(custom),
            Loss::Account(account_id(a)),
            Loss::User(user_id(a)),
        ] {
            let Model { mut accounts, mut teams, mut roles, mut granted } = World::of(&steps).model;
            match loss {
                Loss::Assignment(lost) => _ = granted.remove(&(lost.holder, lost.role)),
                Loss::Member(team, member) => _ = teams.get_mut(&team).map(|members| members.remove(&member)),
                Loss::Team(team) => _ = teams.remove(&team),
                Loss::Role(role) => _ = roles.remove(&role),
                Loss::Account(account) => _ = accounts.insert(account, false),
                Loss::User(user) => {
                    granted.retain(|(holder, _)| *holder != Holder::User(user));
                    teams.values_mut().for_each(|members| _ = members.remove(&Member::User(user)));
                }
            }
            let after = Model { accounts, teams, roles, granted };
            prop_assert_eq!(state.admin_after(&acme(), Some(loss)).is_some(), after.has_admin(), "{:?}", loss);
        }
    }
}

/// A history in which an account has a permission by a team and a custom role alone.
fn by_team_and_role() -> World {
    // Account 0, team 0 with it, the custom role 0 with some permissions, which is granted to the team.
    let (team, custom) = (ACCOUNTS + USERS, 6);
    World::of(&[(0, 0, 0, 0), (4, 0, 0, 0), (5, 0, 0, 0), (10, 0, 0xff, 0x0f), (15, 0, team, custom)])
}

/// The control: a review that leaves a row out, adds a permission, or is older than a revocation is found.
#[test]
fn a_planted_error_in_the_review_is_found() {
    let world = by_team_and_role();
    let state = world.state();
    let rows = review(&state);
    assert!(mismatches(&state, &rows).is_empty());
    let grants = rows.iter().filter(|row| matches!(row.basis, Basis::Grant(_))).count();
    assert_eq!((grants, rows.len()), (1, 3), "{rows:#?}");
    for left_out in 0..rows.len() {
        let mut fewer = rows.clone();
        fewer.remove(left_out);
        assert!(!mismatches(&state, &fewer).is_empty(), "row {left_out} was left out");
        let mut more = rows.clone();
        more[left_out].permissions = PermissionSet::of_roles(&[Role::Admin]);
        assert!(!mismatches(&state, &more).is_empty(), "permissions were added to row {left_out}");
    }
    // The team is closed, or the role is withdrawn: the review from before is wrong, and the new one is right.
    for step in [(9, 0, 0, 0), (13, 0, 0, 0), (8, 0, 0, 0), (14, 0, ACCOUNTS + USERS, 6)] {
        let mut world = by_team_and_role();
        world.step(step);
        let state = world.state();
        assert!(!mismatches(&state, &rows).is_empty(), "{step:?}");
        assert!(mismatches(&state, &review(&state)).is_empty(), "{step:?}");
    }
}

/// The control of the model: a directory without the events of teams or of custom roles gives something else.
#[test]
fn events_that_are_left_out_are_found() {
    for category in ["team", "role", "role_assignment"] {
        let mut world = by_team_and_role();
        assert!(wrong_permissions(&world.state(), &world.model).is_empty());
        world.events.retain(|event| &*event.stream.category != category);
        assert!(!wrong_permissions(&world.state(), &world.model).is_empty(), "{category}");
    }
}

/// A row says by which grant, since when, and by whom.
#[test]
fn a_row_of_the_review_names_the_grant_and_the_team() {
    let rows = review(&by_team_and_role().state());
    let Basis::Grant(grant) = &rows[0].basis else { panic!("{rows:#?}") };
    assert_eq!(rows[0].holder, member(0));
    assert_eq!(rows[0].name.as_deref(), Some("n"));
    assert_eq!((grant.role, grant.role_name.as_str()), (AssignedRole::Custom(RoleId(id(4, 0))), "n"));
    assert_eq!((grant.granted.at, grant.granted.by.as_str()), (at(0), "ada"));
    let team = grant.team.as_ref().unwrap();
    assert_eq!((team.id, team.name.as_str(), team.member.by.as_str()), (TeamId(id(3, 0)), "n", "ada"));
}

/// What cannot be read gives nothing: neither a team, nor a custom role, nor an assignment.
#[test]
fn a_team_or_a_role_that_cannot_be_read_gives_nothing() {
    for category in ["team", "role", "role_assignment"] {
        let world = by_team_and_role();
        let of_category = |event: &&RecordedEvent| &*event.stream.category == category;
        let last = world.events.iter().rfind(of_category).unwrap();
        let permissions = |state: &State| state.permissions_of(&acme(), member(0).into());
        assert!(!permissions(&world.state()).is_empty());
        let mut newer = last.clone();
        newer.schema_version = 99;
        let mut state = world.state();
        state.apply(&newer);
        assert!(permissions(&state).is_empty(), "{category}: an event of a newer version");
        let mut state = world.state();
        state.set_unreadable(&last.stream);
        assert!(permissions(&state).is_empty(), "{category}: archived");
        assert_eq!(mismatches(&state, &review(&state)), BTreeSet::new());
    }
}

/// A role on an agent gives what is about that agent, in lists and in the review too, and makes no admin.
#[test]
fn a_role_on_an_agent_gives_what_is_about_that_agent() {
    let (account, agent) = (Holder::ServiceAccount(account_id(0)), AgentId(Uuid::from_u128(77)));
    let create = ServiceAccountCommand::Create { name: domain::Name::new("n").unwrap(), at: at(0) };
    let mut world = World::of(&[]);
    assert!(decide(&mut world.events, &mut world.accounts, account.id(), create));
    let grant = |world: &mut World, role, extent| {
        let assignment = Assignment { holder: account, role: AssignedRole::BuiltIn(role), extent };
        let grant = RoleAssignmentCommand::Grant { assignment, at: at(0) };
        assert!(decide(&mut world.events, &mut world.assignments, assignment.stream_id(), grant));
        assignment
    };
    let admin = grant(&mut world, Role::Admin, RoleExtent::Agent(agent));
    grant(&mut world, Role::Viewer, RoleExtent::Tenant);
    let state = world.state();
    let held = state.permissions_of(&acme(), account);
    assert_eq!(held.on_tenant, PermissionSet::of_roles(&[Role::Viewer]));
    let on_agent = held.on_agents[&agent];
    assert!(on_agent.contains("command:tasks".parse().unwrap()));
    assert!(
        !on_agent.contains("command:identities".parse().unwrap())
            && !on_agent.contains("command:budgets".parse().unwrap())
    );
    assert!(state.admin_after(&acme(), None).is_none());
    // The role on the tenant reads all tasks, and that on the agent changes those of the agent.
    let principal = state.principal(key_id(0, true), at(1)).unwrap();
    assert_eq!(principal.authorise::<ReadTasks>().unwrap().agents(), None);
    let contents = principal.authorise::<ReadContents>().unwrap();
    assert_eq!(contents.agents(), Some(&[agent][..]));
    // Lists and the review name the extent, and a page begins after any of its rows.
    let listed: Vec<_> = state.assignments(&acme(), Some(account), None, None).map(|(held, _)| held).collect();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        state.assignments(&acme(), None, None, Some(listed[0])).map(|(held, _)| held).collect::<Vec<_>>(),
        listed[1..]
    );
    let rows = review(&state);
    let extents: Vec<_> = rows.iter().filter(|row| matches!(row.basis, Basis::Key(_))).map(|row| row.extent).collect();
    // The key without restriction has a row for each, and the one with scopes for neither command.
    assert_eq!(extents, [RoleExtent::Tenant, RoleExtent::Agent(agent), RoleExtent::Tenant, RoleExtent::Agent(agent)]);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row.key().to_string().parse(), Ok(row.key()));
        let after: Vec<_> = state.review(&acme(), Some(row.key()), at(1)).collect();
        assert!(after == rows[index + 1..], "after {}", row.key());
    }
    // It ends with its revocation.
    let revoke = RoleAssignmentCommand::Revoke { reason: None, at: at(1) };
    assert!(decide(&mut world.events, &mut world.assignments, admin.stream_id(), revoke));
    assert_eq!(world.state().permissions_of(&acme(), account).on_agents.len(), 0);
    let principal = world.state().principal(key_id(0, true), at(1)).unwrap();
    assert!(principal.authorise::<ReadContents>().is_err());
}

/// A team with two agents, and an account that has a role on it. Another account is a member of the team.
fn with_role_on_team(role: Role) -> (World, TeamId, [AgentId; 2]) {
    let (team, agents) = (TeamId(id(3, 0)), [77, 78].map(|agent| AgentId(Uuid::from_u128(agent))));
    // Accounts 0 and 1, and the team with the latter.
    let mut world = World::of(&[(0, 0, 0, 0), (0, 1, 0, 0), (4, 0, 0, 0), (5, 0, 1, 0)]);
    for agent_id in agents {
        assert!(decide(&mut world.events, &mut world.teams, team.0, TeamCommand::AddAgent { agent_id, at: at(0) }));
    }
    let (holder, extent) = (Holder::ServiceAccount(account_id(0)), RoleExtent::Team(team));
    let assignment = Assignment { holder, role: AssignedRole::BuiltIn(role), extent };
    let grant = RoleAssignmentCommand::Grant { assignment, at: at(0) };
    assert!(decide(&mut world.events, &mut world.assignments, assignment.stream_id(), grant));
    (world, team, agents)
}

/// A role on a team gives what is about its agents, to the holder and not to the members, and makes no admin.
#[test]
fn a_role_on_a_team_holds_for_the_agents_of_the_team() {
    let (mut world, team, [one, two]) = with_role_on_team(Role::Admin);
    let state = world.state();
    let held = state.permissions_of(&acme(), Holder::ServiceAccount(account_id(0)));
    assert!(held.on_tenant.is_empty() && state.admin_after(&acme(), None).is_none());
    assert_eq!(held.on_agents.keys().copied().collect::<Vec<_>>(), [one, two]);
    for permissions in held.on_agents.values() {
        assert!(permissions.contains("command:tasks".parse().unwrap()));
        let has_shared = ["command:identities", "command:budgets", "read:reports"].map(|name| name.parse().unwrap());
        assert!(!has_shared.into_iter().any(|permission| permissions.contains(permission)));
    }
    assert!(state.permissions_of(&acme(), Holder::ServiceAccount(account_id(1))).is_empty(), "a member has the role");
    let principal = |state: &State| state.principal(key_id(0, true), at(1)).unwrap();
    assert_eq!(principal(&state).authorise::<ReadTasks>().unwrap().agents(), Some(&[one, two][..]));
    // The review names the team, for the grant and for each key, and a page begins after any of its rows.
    let rows = review(&state);
    let of_account: Vec<_> = rows.iter().filter(|row| row.holder == member(0)).collect();
    assert_eq!(of_account.iter().map(|row| row.extent).collect::<Vec<_>>(), [RoleExtent::Team(team); 3]);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row.key().to_string().parse(), Ok(row.key()));
        let after: Vec<_> = state.review(&acme(), Some(row.key()), at(1)).collect();
        assert!(after == rows[index + 1..], "after {}", row.key());
    }
    // An agent leaves, and the team is closed, or cannot be read.
    let mut unreadable = world.state();
    let remove = TeamCommand::RemoveAgent { agent_id: one, at: at(1) };
    assert!(decide(&mut world.events, &mut world.teams, team.0, remove));
    assert_eq!(principal(&world.state()).authorise::<ReadTasks>().unwrap().agents(), Some(&[two][..]));
    assert!(decide(&mut world.events, &mut world.teams, team.0, TeamCommand::Close { reason: None, at: at(1) }));
    let of_team = world.events.last().unwrap().stream.clone();
    unreadable.set_unreadable(&of_team);
    for state in [world.state(), unreadable] {
        assert!(principal(&state).authorise::<ReadTasks>().is_err());
        let grants = review(&state).into_iter().filter(|row| matches!(row.basis, Basis::Grant(_)));
        assert_eq!(grants.count(), 0);
    }
}

/// A key that is bound to a team reaches the agents of the team, by roles on the tenant and by roles on agents.
#[test]
fn a_key_of_a_team_reaches_the_agents_of_the_team() {
    let (mut world, team, [one, two]) = with_role_on_team(Role::Operator);
    let bound = ApiKeyId(id(7, 0));
    let terms = KeyTerms {
        service_account_id: account_id(0),
        scopes: Scopes::All,
        agent_id: None,
        team_id: Some(team),
        expires_at: None,
    };
    let created = ApiKeyEvent::Created(ApiKeyCreated { terms, at: at(0) });
    world.events.push(recorded::<ApiKey>(&acme(), bound.0, &created));
    let agents = |world: &World| {
        let principal = world.state().principal(bound, at(1)).unwrap();
        let access = principal.authorise::<ReadTasks>().ok()?;
        Some(access.agents().unwrap().to_vec())
    };
    assert_eq!(agents(&world), Some(vec![one, two]));
    // A role on another agent reaches nothing by this key, and one on the tenant the agents of the team.
    let elsewhere = AgentId(Uuid::from_u128(79));
    let grant = |world: &mut World, extent| {
        let (holder, role) = (Holder::ServiceAccount(account_id(0)), AssignedRole::BuiltIn(Role::Viewer));
        let assignment = Assignment { holder, role, extent };
        let grant = RoleAssignmentCommand::Grant { assignment, at: at(0) };
        assert!(decide(&mut world.events, &mut world.assignments, assignment.stream_id(), grant));
    };
    grant(&mut world, RoleExtent::Agent(elsewhere));
    assert_eq!(agents(&world), Some(vec![one, two]));
    let rows = review(&world.state());
    let of_key = |row: &&ReviewRow| matches!(&row.basis, Basis::Key(key) if key.id == bound);
    let extents: Vec<_> = rows.iter().filter(of_key).map(|row| row.extent).collect();
    assert_eq!(extents, [RoleExtent::Team(team)]);
    grant(&mut world, RoleExtent::Tenant);
    assert_eq!(agents(&world), Some(vec![one, two]));
    let remove = TeamCommand::RemoveAgent { agent_id: two, at: at(1) };
    assert!(decide(&mut world.events, &mut world.teams, team.0, remove));
    assert_eq!(agents(&world), Some(vec![one]));
    assert!(decide(&mut world.events, &mut world.teams, team.0, TeamCommand::Close { reason: None, at: at(1) }));
    assert_eq!(agents(&world), None, "the key of a closed team reaches no agent");
}
