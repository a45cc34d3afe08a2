//! Who holds which roles: teams, custom roles and role assignments, and the permissions that follow from them.
//!
//! What follows is looked up in the direction of a request: from a holder to its roles, and from a member to its teams. A
//! change of a team or of a custom role counts for all whom it concerns with the event that says it.

use super::folded::Folded;
use super::ranges::{self, Range};
use chrono::{DateTime, Utc};
use domain::custom_role::CustomRole;
use domain::permissions::{HeldPermissions, Permission, PermissionSet};
use domain::role_assignment::{AssignedRole, Assignment, Holder, RoleAssignment, RoleExtent};
use domain::team::{Member, Team, TeamEvent};
use domain::{AgentId, Aggregate, DecodeError, RoleId, TeamId, TenantId, UserId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use streams::{RecordedEvent, StreamKey};
use uuid::Uuid;

/// The event by which something was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// When the event was appended, by the clock of the database.
    pub at: DateTime<Utc>,
    /// The actor of the event.
    pub by: String,
}

impl Origin {
    fn of(event: &RecordedEvent) -> Self {
        let by = event.metadata().map_or_else(|_| "unknown".to_owned(), |metadata| metadata.actor);
        Self { at: event.recorded_at, by }
    }
}

/// A role assignment, in the order of lists.
pub(crate) type Held = (Holder, AssignedRole, RoleExtent);

/// The first and the last assignment of a holder or a role, or of all.
pub(super) const fn all_of(holder: Option<Holder>, role: Option<AssignedRole>) -> (Held, Held) {
    let (first, last) = match holder {
        Some(holder) => (holder, holder),
        None => (Holder::FIRST, Holder::LAST),
    };
    let (first_role, last_role) = match role {
        Some(role) => (role, role),
        None => (AssignedRole::FIRST, AssignedRole::LAST),
    };
    ((first, first_role, RoleExtent::FIRST), (last, last_role, RoleExtent::LAST))
}

/// One way by which a holder has a role: it was granted to the holder, or to a team that the holder is a member of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) role: AssignedRole,
    /// What the role is granted on.
    pub(super) extent: RoleExtent,
    /// The permissions of the role that it gives there; none if it was withdrawn, or is on a team that was closed.
    pub(super) permissions: PermissionSet,
    pub(super) granted: &'a Origin,
    /// The team, and since when the holder is a member of it; none if the role was granted to the holder.
    pub(super) team: Option<(TeamId, &'a Origin)>,
}

/// The teams, custom roles and role assignments of the log.
#[derive(Debug, Default)]
pub(super) struct Grants {
    teams: BTreeMap<(TenantId, TeamId), Folded<Team>>,
    roles: BTreeMap<(TenantId, RoleId), Folded<CustomRole>>,
    assignments: HashMap<(TenantId, Uuid), Folded<RoleAssignment>>,
    /// The assignments that are not revoked. Follows from the assignments, as does the next one.
    granted: BTreeMap<(TenantId, Held), Origin>,
    holders: BTreeSet<(TenantId, (AssignedRole, Holder, RoleExtent))>,
    /// The teams of each member that are not closed. Follows from the teams.
    teams_of: BTreeMap<(TenantId, Member), BTreeMap<TeamId, Origin>>,
    /// When the agents of each team that is not closed were added to it. Follows from the teams.
    agents_added: HashMap<(TenantId, TeamId), BTreeMap<AgentId, Origin>>,
}

impl Grants {
    pub(super) const CATEGORIES: [&str; 3] = [Team::CATEGORY, CustomRole::CATEGORY, RoleAssignment::CATEGORY];

    /// Applies an event of one of [`Grants::CATEGORIES`].
    pub(super) fn apply(&mut self, event: &RecordedEvent) -> Result<(), DecodeError> {
        let (tenant, id) = (&event.stream.tenant, event.stream.id);
        match &*event.stream.category {
            Team::CATEGORY => self.apply_team(event),
            CustomRole::CATEGORY => self.roles.entry((tenant.clone(), id.into())).or_default().apply(event).map(drop),
            RoleAssignment::CATEGORY => self.apply_assignment(event),
            _ => Ok(()),
        }
    }

    /// Notes that events of a stream cannot be read.
    pub(super) fn set_unreadable(&mut self, stream: &StreamKey) {
        let (tenant, id) = (&stream.tenant, stream.id);
        match &*stream.category {
            Team::CATEGORY => self.teams.entry((tenant.clone(), id.into())).or_default().is_unreadable = true,
            CustomRole::CATEGORY => self.roles.entry((tenant.clone(), id.into())).or_default().is_unreadable = true,
            RoleAssignment::CATEGORY => {
                let folded = self.assignments.entry((tenant.clone(), id)).or_default();
                folded.is_unreadable = true;
                if let Some(Assignment { holder, role, extent }) = folded.state.assignment {
                    self.granted.remove(&(tenant.clone(), (holder, role, extent)));
                    self.holders.remove(&(tenant.clone(), (role, holder, extent)));
                }
            }
            _ => {}
        }
    }

    fn apply_team(&mut self, event: &RecordedEvent) -> Result<(), DecodeError> {
        let (tenant, id) = (&event.stream.tenant, TeamId(event.stream.id));
        let folded = self.teams.entry((tenant.clone(), id)).or_default();
        let decoded = folded.apply(event)?;
        let mut leave = |member: Member| {
            let key = (tenant.clone(), member);
            if let Some(teams) = self.teams_of.get_mut(&key) {
                teams.remove(&id);
                if teams.is_empty() {
                    self.teams_of.remove(&key);
                }
            }
        };
        match decoded {
            TeamEvent::Created(_) | TeamEvent::Renamed(_) => {}
            TeamEvent::MemberRemoved(removed) => leave(removed.member),
            TeamEvent::AgentAdded(added) => {
                let agents = self.agents_added.entry((tenant.clone(), id)).or_default();
                agents.insert(added.agent_id, Origin::of(event));
            }
            TeamEvent::AgentRemoved(removed) => {
                if let Some(agents) = self.agents_added.get_mut(&(tenant.clone(), id)) {
                    agents.remove(&removed.agent_id);
                }
            }
            TeamEvent::Closed(_) => {
                folded.state.members.iter().copied().for_each(leave);
                self.agents_added.remove(&(tenant.clone(), id));
            }
            TeamEvent::MemberAdded(added) => {
                let teams = self.teams_of.entry((tenant.clone(), added.member)).or_default();
                teams.insert(id, Origin::of(event));
            }
        }
        Ok(())
    }

    fn apply_assignment(&mut self, event: &RecordedEvent) -> Result<(), DecodeError> {
        let (tenant, id) = (&event.stream.tenant, event.stream.id);
        let folded = self.assignments.entry((tenant.clone(), id)).or_default();
        let before = folded.state.assignment;
        let applied = folded.apply(event).map(drop);
        // An assignment in the stream of another one has no meaning: what it says could not be revoked there.
        let own = |assignment: &Assignment| assignment.stream_id() == id;
        let is_granted = folded.readable().is_some_and(|assignment| assignment.is_granted);
        for assignment in [before, folded.state.assignment].into_iter().flatten().filter(own) {
            let Assignment { holder, role, extent } = assignment;
            if is_granted {
                self.granted.insert((tenant.clone(), (holder, role, extent)), Origin::of(event));
                self.holders.insert((tenant.clone(), (role, holder, extent)));
            } else {
                self.granted.remove(&(tenant.clone(), (holder, role, extent)));
                self.holders.remove(&(tenant.clone(), (role, holder, extent)));
            }
        }
        applied
    }

    /// A team, if it can be read and was created.
    pub(super) fn team(&self, tenant: &TenantId, id: TeamId) -> Option<&Team> {
        self.teams.get(&(tenant.clone(), id))?.readable().filter(|team| team.name.is_some())
    }

    /// A custom role, if it can be read and was defined.
    pub(super) fn role(&self, tenant: &TenantId, id: RoleId) -> Option<&CustomRole> {
        self.roles.get(&(tenant.clone(), id))?.readable().filter(|role| role.definition.is_some())
    }

    /// The teams of a tenant with ids in a range, closed ones too, by id.
    pub(super) fn teams<'a>(
        &'a self,
        tenant: &TenantId,
        ids: Range<TeamId>,
    ) -> impl Iterator<Item = (TeamId, &'a Team)> + use<'a> {
        let range = ranges::of_tenant(tenant, ids, TeamId(Uuid::nil()), TeamId(Uuid::max()));
        let readable = self.teams.range(range).filter_map(|((_, id), team)| Some((*id, team.readable()?)));
        readable.filter(|(_, team)| team.name.is_some())
    }

    /// The custom roles of a tenant with ids in a range, withdrawn ones too, by id.
    pub(super) fn roles<'a>(
        &'a self,
        tenant: &TenantId,
        ids: Range<RoleId>,
    ) -> impl Iterator<Item = (RoleId, &'a CustomRole)> + use<'a> {
        let range = ranges::of_tenant(tenant, ids, RoleId(Uuid::nil()), RoleId(Uuid::max()));
        let readable = self.roles.range(range).filter_map(|((_, id), role)| Some((*id, role.readable()?)));
        readable.filter(|(_, role)| role.definition.is_some())
    }

    /// The assignments of a tenant in a range, by holder, then by role, then by extent.
    pub(super) fn assignments<'a>(
        &'a self,
        tenant: &TenantId,
        range: Range<Held>,
    ) -> impl Iterator<Item = (Held, &'a Origin)> + use<'a> {
        let (first, last) = all_of(None, None);
        let range = ranges::of_tenant(tenant, range, first, last);
        self.granted.range(range).map(|((_, held), origin)| (*held, origin))
    }

    /// The assignments of a role in a tenant to holders in a range, by holder, then by extent.
    pub(super) fn assignments_of_role<'a>(
        &'a self,
        tenant: &TenantId,
        role: AssignedRole,
        holders: Range<(Holder, RoleExtent)>,
    ) -> impl Iterator<Item = (Held, &'a Origin)> + use<'a> {
        let with_role = |bound: Bound<(Holder, RoleExtent)>| bound.map(|(holder, extent)| (role, holder, extent));
        let range = (with_role(holders.0), with_role(holders.1));
        let (first, last) = ((role, Holder::FIRST, RoleExtent::FIRST), (role, Holder::LAST, RoleExtent::LAST));
        let range = ranges::of_tenant(tenant, range, first, last);
        self.holders.range(range).filter_map(move |(tenant, (role, holder, extent))| {
            let held = (*holder, *role, *extent);
            Some((held, self.granted.get(&(tenant.clone(), held))?))
        })
    }

    /// The roles that were granted to a holder itself, by role, then by extent.
    pub(super) fn direct<'a>(
        &'a self,
        tenant: &TenantId,
        holder: Holder,
    ) -> impl Iterator<Item = (AssignedRole, RoleExtent, &'a Origin)> + use<'a> {
        let (first, last) = all_of(Some(holder), None);
        let range = (Bound::Included(first), Bound::Included(last));
        self.assignments(tenant, range).map(|((_, role, extent), origin)| (role, extent, origin))
    }

    /// The roles on the whole tenant that were granted to a holder itself, by role.
    pub(super) fn direct_on_tenant<'a>(
        &'a self,
        tenant: &TenantId,
        holder: Holder,
    ) -> impl Iterator<Item = AssignedRole> + use<'a> {
        let direct = self.direct(tenant, holder);
        direct.filter(|(_, extent, _)| *extent == RoleExtent::Tenant).map(|(role, ..)| role)
    }

    /// The number of teams that a member is in.
    pub(super) fn count_teams(&self, tenant: &TenantId, member: Member) -> usize {
        self.teams_of.get(&(tenant.clone(), member)).map_or(0, BTreeMap::len)
    }

    /// When a member was added to a team that is not closed, and by whom.
    pub(super) fn membership(&self, tenant: &TenantId, member: Member, team: TeamId) -> Option<&Origin> {
        self.teams_of.get(&(tenant.clone(), member))?.get(&team)
    }

    /// The agents of a team; none if it was closed or cannot be read.
    pub(super) fn agents_of_team<'a>(
        &'a self,
        tenant: &TenantId,
        id: TeamId,
    ) -> impl Iterator<Item = AgentId> + use<'a> {
        let team = self.team(tenant, id).filter(|team| team.is_active());
        team.into_iter().flat_map(|team| team.agents.iter().copied())
    }

    /// When an agent was added to a team that is not closed, and by whom.
    pub(super) fn agent_added(&self, tenant: &TenantId, team: TeamId, agent: AgentId) -> Option<&Origin> {
        self.agents_added.get(&(tenant.clone(), team))?.get(&agent)
    }

    /// The permissions of a role: none if it was withdrawn or cannot be read.
    pub(super) fn permissions_of_role(&self, tenant: &TenantId, role: AssignedRole) -> PermissionSet {
        match role {
            AssignedRole::BuiltIn(role) => PermissionSet::of_roles(&[role]),
            AssignedRole::Custom(id) => self.role(tenant, id).map(CustomRole::permissions).unwrap_or_default(),
        }
    }

    /// The teams that a holder is a member of, if they are active; of a team, none.
    fn active_teams<'a>(
        &'a self,
        tenant: &TenantId,
        holder: Holder,
    ) -> impl Iterator<Item = (TeamId, &'a Origin)> + use<'a> {
        let member = match holder {
            Holder::ServiceAccount(id) => Some(Member::ServiceAccount(id)),
            Holder::User(id) => Some(Member::User(id)),
            Holder::Team(_) => None,
        };
        let teams = member.and_then(|member| self.teams_of.get(&(tenant.clone(), member))).into_iter().flatten();
        let tenant = tenant.clone();
        teams.map(|(id, origin)| (*id, origin)).filter(move |(id, _)| self.is_active_team(&tenant, *id))
    }

    /// Whether a team exists, can be read, and was not closed.
    pub(super) fn is_active_team(&self, tenant: &TenantId, id: TeamId) -> bool {
        self.team(tenant, id).is_some_and(Team::is_active)
    }

    /// Every way by which a holder has a role.
    pub(super) fn ways<'a>(&'a self, tenant: &'a TenantId, holder: Holder) -> impl Iterator<Item = Way<'a>> + 'a {
        let way = move |team: Option<(TeamId, &'a Origin)>| {
            let holder = team.map_or(holder, |(id, _)| Holder::Team(id));
            self.direct(tenant, holder).map(move |(role, extent, granted)| {
                let permissions = self.permissions_of_role(tenant, role);
                // Of a role on an agent or on the agents of a team, what is about one agent.
                let is_active = extent.team().is_none_or(|team| self.is_active_team(tenant, team));
                let is_given = |permission: &Permission| {
                    is_active && (extent == RoleExtent::Tenant || permission.kind().is_of_one_agent())
                };
                let permissions = permissions.iter().filter(is_given).collect();
                Way { role, extent, permissions, granted, team }
            })
        };
        let is_closed_team = matches!(holder, Holder::Team(id) if !self.is_active_team(tenant, id));
        let direct = (!is_closed_team).then(|| way(None));
        let by_teams = self.active_teams(tenant, holder).flat_map(move |team| way(Some(team)));
        direct.into_iter().flatten().chain(by_teams)
    }

    /// The permissions that a holder has by its own roles and by those of its teams. Whether the holder is active is not
    /// looked at.
    pub(super) fn permissions_of(&self, tenant: &TenantId, holder: Holder) -> HeldPermissions {
        let mut all = HeldPermissions::default();
        for (extent, permissions) in self.permissions_by_extent(tenant, holder) {
            let mut give_on = |agent: AgentId| {
                let given = all.on_agents.entry(agent).or_default();
                *given = given.union(permissions);
            };
            match extent {
                RoleExtent::Tenant => all.on_tenant = permissions,
                RoleExtent::Agent(agent) => give_on(agent),
                RoleExtent::Team(team) => self.agents_of_team(tenant, team).for_each(give_on),
            }
        }
        all
    }

    /// The permissions that a holder has by its own roles and by those of its teams, by what the roles are granted on.
    pub(super) fn permissions_by_extent(
        &self,
        tenant: &TenantId,
        holder: Holder,
    ) -> BTreeMap<RoleExtent, PermissionSet> {
        self.ways(tenant, holder).fold(BTreeMap::new(), |mut all, way| {
            let given: &mut PermissionSet = all.entry(way.extent).or_default();
            *given = given.union(way.permissions);
            all
        })
    }

    /// The users from one on that a role was granted to or that are members of a team, by id.
    pub(super) fn users_from<'a>(&'a self, tenant: &'a TenantId, from: UserId) -> impl Iterator<Item = UserId> + 'a {
        let next = move |from: Bound<UserId>| {
            let last = UserId(Uuid::max());
            let of = |user: UserId| all_of(Some(Holder::User(user)), None);
            let bounds = (
                match from {
                    Bound::Excluded(user) => Bound::Excluded(of(user).1),
                    Bound::Included(user) => Bound::Included(of(user).0),
                    Bound::Unbounded => Bound::Included(of(UserId(Uuid::nil())).0),
                },
                Bound::Included(of(last).1),
            );
            let holder = self.assignments(tenant, bounds).find_map(|((holder, ..), _)| match holder {
                Holder::User(user) => Some(user),
                Holder::ServiceAccount(_) | Holder::Team(_) => None,
            });
            let members = (from.map(Member::User), Bound::Included(Member::User(last)));
            let users = (Member::User(UserId(Uuid::nil())), Member::User(last));
            let members = self.teams_of.range(ranges::of_tenant(tenant, members, users.0, users.1));
            let member = members.map(|((_, member), _)| *member).find_map(|member| match member {
                Member::User(user) => Some(user),
                Member::ServiceAccount(_) => None,
            });
            holder.into_iter().chain(member).min()
        };
        std::iter::successors(next(Bound::Included(from)), move |last| next(Bound::Excluded(*last)))
    }
}
