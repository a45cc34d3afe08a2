use super::*;

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn grants<'a>(tenant: &'a TenantId, roles: &[Role], scopes: Scopes) -> Grants<'a> {
    static NONE: AgentPermissions = AgentPermissions::new();
    Grants { tenant, permissions: PermissionSet::of_roles(roles), on_agents: &NONE, scopes, bound_to: None }
}

fn agent(tenant: &TenantId) -> Resource<'_> {
    Resource::Aggregate { tenant, category: "agent", id: Uuid::nil() }
}

/// The actions that the grants allow on a tenant's data, or on the installation.
fn allowed(roles: &[Role], scopes: Scopes) -> Vec<Action> {
    let tenant = tenant("default");
    let resource = |action: Action| match action.level() {
        Level::Tenant => Resource::Tenant(&tenant, Extent::Whole),
        Level::Installation => Resource::Installation,
    };
    let grants = grants(&tenant, roles, scopes);
    Action::ALL.iter().copied().filter(|&action| check(grants, action, resource(action)).is_ok()).collect()
}

#[test]
fn each_role_is_a_set_of_actions() {
    let both = [Action::ReadData, Action::SendCommand];
    for (roles, actions) in [
        (&[Role::Admin][..], &both[..]),
        // It reads all but the access log.
        (&[Role::Operator], &[Action::SendCommand]),
        // It reads all but the contents and the access log.
        (&[Role::Viewer], &[]),
        (&[Role::Auditor], &[Action::ReadData]),
        // They may read some of the data only.
        (&[Role::Agent], &[Action::ReadOwnData, Action::SendCommand]),
        (&[Role::Billing], &[Action::SendCommand]),
        (&[Role::InstallationViewer], &[Action::ReadProjections]),
        (&[Role::Admin, Role::Agent, Role::InstallationOperator], Action::ALL),
        (&[Role::System], &both),
        (&[], &[]),
    ] {
        assert_eq!(allowed(roles, Scopes::All), actions, "{roles:?}");
    }
}

/// Every role, action and category: what is allowed is what the table says.
#[test]
fn an_aggregate_is_judged_by_the_row_of_its_kind() {
    let tenant = tenant("default");
    let mut refused = 0;
    for role in Role::ALL {
        for action in [Action::ReadData, Action::SendCommand] {
            for category in crate::Event::CATEGORIES {
                let resource = Resource::Aggregate { tenant: &tenant, category, id: Uuid::nil() };
                let kind = ResourceKind::of_category(category).unwrap();
                let in_table = Permission::of(action, kind).unwrap().is_of(role);
                let is_allowed = check(grants(&tenant, &[role], Scopes::All), action, resource).is_ok();
                assert_eq!(is_allowed, in_table, "{role} {action} {category}");
                refused += usize::from(!is_allowed);
            }
        }
    }
    assert!(refused > 0);
    let unknown = Resource::Aggregate { tenant: &tenant, category: "unknown", id: Uuid::nil() };
    // A category that is not in the table takes the permission for every kind.
    assert!(check(grants(&tenant, &[Role::Admin], Scopes::All), Action::ReadData, unknown).is_err());
    assert!(check(grants(&tenant, &Role::ALL, Scopes::All), Action::ReadData, unknown).is_ok());
}

#[test]
fn scopes_take_away_and_never_add() {
    let metrics = Scopes::Only(PermissionSet::of_action(Action::ReadMetrics));
    assert_eq!(allowed(&[Role::Admin, Role::InstallationOperator], metrics), [Action::ReadMetrics]);
    assert_eq!(allowed(&[], metrics), []);
    // A scope that the roles do not have does not make up for one that they have and the credential lacks.
    let tenant = tenant("default");
    let only_calls = Scopes::Only(["command:calls".parse().unwrap()].into_iter().collect());
    let call = Resource::Aggregate { tenant: &tenant, category: "call", id: Uuid::nil() };
    for (role, on_calls) in [(Role::Operator, true), (Role::Billing, false)] {
        let grants = grants(&tenant, &[role], only_calls);
        assert_eq!(check(grants, Action::SendCommand, call).is_ok(), on_calls, "{role}");
        assert_eq!(
            check(grants, Action::SendCommand, Resource::Tenant(&tenant, Extent::Whole)).is_ok(),
            on_calls,
            "{role}"
        );
        assert!(check(grants, Action::SendCommand, agent(&tenant)).is_err(), "{role}");
        assert!(check(grants, Action::ReadData, call).is_err(), "{role}");
    }
}

#[test]
fn no_role_reaches_another_tenant() {
    let (own, other) = (tenant("default"), tenant("other"));
    let grants = grants(&own, &Role::ALL, Scopes::All);
    for (resource, is_allowed) in [
        (Resource::Tenant(&own, Extent::Whole), true),
        (agent(&own), true),
        (Resource::Tenant(&other, Extent::Whole), false),
        (agent(&other), false),
        (Resource::Installation, false),
    ] {
        assert_eq!(check(grants, Action::ReadData, resource).is_ok(), is_allowed, "{resource}");
    }
    assert_eq!(authorise::<ReadData>(grants, Resource::Tenant(&own, Extent::Whole)).unwrap().tenant(), &own);
}

#[test]
fn a_refusal_names_the_action_the_resource_and_the_remedy() {
    let tenant = tenant("default");
    let grants = grants(&tenant, &[Role::Admin], Scopes::All);
    let refused = authorise::<OperateProjections>(grants, Resource::Installation).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "not allowed to operate read models in this installation: use the credential of an operator of the installation"
    );
}

/// Every text that a refusal can have, for a reader to judge.
#[test]
fn every_refusal_reads_well() {
    let tenant = tenant("default");
    let grants = grants(&tenant, &[], Scopes::All);
    let texts = Action::ALL.iter().flat_map(|&action| {
        let resources = match action.level() {
            Level::Tenant => vec![
                Resource::Tenant(&tenant, Extent::Whole),
                Resource::Tenant(&tenant, Extent::Kind(ResourceKind::Reports)),
                agent(&tenant),
            ],
            Level::Installation => vec![Resource::Installation],
        };
        resources.into_iter().map(move |resource| check(grants, action, resource).unwrap_err().to_string())
    });
    let texts: Vec<_> = texts.map(|text| text.split_once(": ").unwrap().0.to_owned()).collect();
    assert_eq!(
        texts,
        [
            "not allowed to read data in the tenant default",
            "not allowed to read data of the kind reports in the tenant default",
            "not allowed to read data for agent 00000000-0000-0000-0000-000000000000",
            "not allowed to read data of one agent in the tenant default",
            "not allowed to read data of one agent of the kind reports in the tenant default",
            "not allowed to read data of one agent for agent 00000000-0000-0000-0000-000000000000",
            "not allowed to send commands in the tenant default",
            "not allowed to send commands of the kind reports in the tenant default",
            "not allowed to send commands for agent 00000000-0000-0000-0000-000000000000",
            "not allowed to read the status of read models in this installation",
            "not allowed to operate read models in this installation",
            "not allowed to operate jobs in this installation",
            "not allowed to read metrics in this installation",
            "not allowed to maintain the log in this installation",
            "not allowed to run Apex in this installation",
        ]
    );
}

/// A key that is bound to an agent reserves and settles, and changes nothing else of what all agents share.
#[test]
fn a_bound_credential_changes_what_is_charged_and_reserved() {
    let tenant = tenant("default");
    let agents = [AgentId(Uuid::from_u128(7))];
    let commands = |role| {
        let grants = Grants { bound_to: Some(&agents[..]), ..grants(&tenant, &[role], Scopes::All) };
        let may = |kind: &ResourceKind| {
            check(grants, Action::SendCommand, Resource::Tenant(&tenant, Extent::Kind(*kind))).is_ok()
        };
        ResourceKind::OF_TENANT.into_iter().filter(may).map(ResourceKind::key).collect::<Vec<_>>()
    };
    assert_eq!(commands(Role::Agent), ["tasks", "calls", "spending", "memories"]);
    assert_eq!(commands(Role::Admin), ["agents", "tasks", "calls", "spending", "memories"]);
    assert_eq!(commands(Role::Viewer), [""; 0]);
    let grants = Grants { bound_to: Some(&agents[..]), ..grants(&tenant, &[Role::Agent], Scopes::All) };
    let period = Resource::Aggregate { tenant: &tenant, category: "budget_balance", id: Uuid::nil() };
    assert!(check_agent(grants, period, &[None]).is_ok(), "a period is of no agent");
}

/// What a role of an agent reads with a key that is bound to an agent, and with one that is not.
#[test]
fn a_role_that_reads_its_own_objects_needs_a_bound_credential() {
    let tenant = tenant("default");
    let own = AgentId(Uuid::from_u128(7));
    let agents = [own];
    let bound = Some(&agents[..]);
    let reads = |role, bound_to| {
        let grants = Grants { bound_to, ..grants(&tenant, &[role], Scopes::All) };
        let may = |kind: &ResourceKind| {
            check(grants, Action::ReadData, Resource::Tenant(&tenant, Extent::Kind(*kind))).is_ok()
        };
        ResourceKind::OF_TENANT.into_iter().filter(may).map(ResourceKind::key).collect::<Vec<_>>()
    };
    assert_eq!(reads(Role::Agent, None), ["prices", "tag_keys", "budgets", "spending", "contents"]);
    assert_eq!(
        reads(Role::Agent, bound),
        ["agents", "tasks", "prices", "tag_keys", "budgets", "spending", "memories", "contents"]
    );
    assert_eq!(
        reads(Role::Billing, None),
        [
            "agents",
            "tasks",
            "calls",
            "prices",
            "tag_keys",
            "allocation",
            "invoices",
            "schedules",
            "alert_endpoints",
            "budgets",
            "spending",
            "reports"
        ]
    );
    // A bound credential of any other role reads what belongs to the agent, and what all agents share.
    assert_eq!(
        reads(Role::Admin, bound),
        ["agents", "tasks", "calls", "prices", "tag_keys", "budgets", "spending", "memories", "contents"]
    );
    assert_eq!(reads(Role::Admin, None).len(), ResourceKind::OF_TENANT.len());
    let grants = grants(&tenant, &[Role::Agent], Scopes::All);
    let tasks = Resource::Tenant(&tenant, Extent::Kind(ResourceKind::Tasks));
    let refused = check(grants, Action::ReadData, tasks).unwrap_err();
    assert!(refused.to_string().ends_with("use an API key that is bound to an agent or a team"), "{refused}");
    let access = authorise::<ReadTasks>(Grants { bound_to: bound, ..grants }, tasks).unwrap();
    assert_eq!(access.agents(), Some(&[own][..]));
}

#[test]
fn a_bound_credential_changes_only_what_is_in_the_name_of_its_agent() {
    let tenant = tenant("default");
    let (own, other) = (Some(AgentId(Uuid::from_u128(7))), Some(AgentId(Uuid::from_u128(8))));
    let task = Resource::Aggregate { tenant: &tenant, category: "task", id: Uuid::nil() };
    let changes = |agent: Option<AgentId>, agents: &[Option<AgentId>]| {
        let bound_to = agent.as_ref().map(std::slice::from_ref);
        let grants = Grants { bound_to, ..grants(&tenant, &[Role::Admin], Scopes::All) };
        check_agent(grants, task, agents).is_ok()
    };
    assert!(changes(own, &[None, own]) && changes(own, &[own, None]) && changes(own, &[own, own]));
    for refused in [&[other, own][..], &[own, other], &[None, None], &[None, other], &[]] {
        assert!(!changes(own, refused), "{refused:?}");
        assert!(changes(None, refused), "{refused:?}");
    }
    // What all agents share is not theirs to change.
    let grants =
        Grants { bound_to: own.as_ref().map(std::slice::from_ref), ..grants(&tenant, &[Role::Admin], Scopes::All) };
    for (category, is_allowed) in
        [("task", true), ("memory", true), ("budget", false), ("price_book", false), ("api_key", false)]
    {
        let resource = Resource::Aggregate { tenant: &tenant, category, id: Uuid::nil() };
        assert_eq!(check(grants, Action::SendCommand, resource).is_ok(), is_allowed, "{category}");
    }
}

/// A role on an agent gives what the role gives, for that agent's objects, and nothing that all agents share.
#[test]
fn a_role_on_an_agent_reaches_what_belongs_to_it() {
    let tenant = tenant("default");
    let [one, two, other] = [7, 8, 9].map(|id| AgentId(Uuid::from_u128(id)));
    let on_agents = AgentPermissions::from([
        (one, PermissionSet::of_roles(&[Role::Operator])),
        (two, PermissionSet::of_roles(&[Role::Viewer])),
    ]);
    let grants = |roles, bound_to| Grants { on_agents: &on_agents, bound_to, ..grants(&tenant, roles, Scopes::All) };
    let kind = |kind| Resource::Tenant(&tenant, Extent::Kind(kind));
    let reads = |roles, bound_to| authorise::<ReadTasks>(grants(roles, bound_to), kind(ResourceKind::Tasks));
    assert_eq!(reads(&[], None).unwrap().agents(), Some(&[one, two][..]));
    assert_eq!(reads(&[Role::Viewer], None).unwrap().agents(), None, "a role on the tenant reaches all");
    // A bound credential narrows the roles on agents, and those on the tenant.
    let (second, both, another) = ([two], [two, other], [other]);
    assert_eq!(reads(&[], Some(&second)).unwrap().agents(), Some(&[two][..]));
    assert_eq!(reads(&[], Some(&both)).unwrap().agents(), Some(&[two][..]));
    assert_eq!(reads(&[Role::Viewer], Some(&another)).unwrap().agents(), Some(&[other][..]));
    assert_eq!(reads(&[Role::Viewer], Some(&both)).unwrap().agents(), Some(&[two, other][..]));
    assert!(reads(&[], Some(&another)).is_err());
    // Bound to the agents of a team without any, it reaches none.
    assert!(reads(&[Role::Viewer], Some(&[])).is_err());
    let readable: Vec<_> = ResourceKind::OF_TENANT
        .into_iter()
        .filter(|of| check(grants(&[], None), Action::ReadData, kind(*of)).is_ok())
        .map(ResourceKind::key)
        .collect();
    assert_eq!(readable, ["agents", "tasks", "calls", "memories", "contents"]);
    let contents = authorise::<ReadContents>(grants(&[], None), kind(ResourceKind::Contents)).unwrap();
    assert_eq!(contents.agents(), Some(&[one][..]), "a viewer does not read texts");
    // Of a stream it is not known before whose it is.
    let task = Resource::Aggregate { tenant: &tenant, category: "task", id: Uuid::nil() };
    assert!(check(grants(&[], None), Action::ReadData, task).is_err());
    assert!(check(grants(&[], None), Action::SendCommand, task).is_ok());
    for (agents, is_allowed) in [
        (&[Some(one)][..], true),
        (&[None, Some(one)], true),
        (&[Some(two)], false),
        (&[Some(one), Some(two)], false),
        (&[None, None], false),
    ] {
        assert_eq!(check_agent(grants(&[], None), task, agents).is_ok(), is_allowed, "{agents:?}");
        assert!(check_agent(grants(&[Role::Operator], None), task, agents).is_ok(), "{agents:?}");
    }
    for category in ["budget", "price_book", "api_key", "role_assignment", "tag_keys"] {
        let shared = Resource::Aggregate { tenant: &tenant, category, id: Uuid::nil() };
        assert!(check(grants(&[], None), Action::SendCommand, shared).is_err(), "{category}");
    }
    // Scopes take away here too.
    let only_calls = Scopes::Only(["read:calls".parse().unwrap()].into_iter().collect());
    let scoped = Grants { scopes: only_calls, ..grants(&[], None) };
    assert!(check(scoped, Action::ReadData, kind(ResourceKind::Tasks)).is_err());
    assert!(check(scoped, Action::ReadData, kind(ResourceKind::Calls)).is_ok());
}
