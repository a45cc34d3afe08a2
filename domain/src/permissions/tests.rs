use super::*;

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn grants<'a>(tenant: &'a TenantId, roles: &[Role], scopes: Scopes) -> Grants<'a> {
    Grants { tenant, permissions: PermissionSet::of_roles(roles), scopes }
}

fn agent(tenant: &TenantId) -> Resource<'_> {
    Resource::Aggregate { tenant, category: "agent", id: Uuid::nil() }
}

/// The actions that the grants allow on a tenant's data, or on the installation.
fn allowed(roles: &[Role], scopes: Scopes) -> Vec<Action> {
    let tenant = tenant("default");
    let resource = |action: Action| match action.level() {
        Level::Tenant => Resource::Tenant(&tenant),
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
        (&[Role::Operator], &both),
        (&[Role::Viewer], &[Action::ReadData]),
        (&[Role::Auditor], &[Action::ReadData]),
        // They may read some of the data only.
        (&[Role::Agent], &[Action::SendCommand]),
        (&[Role::Billing], &[Action::SendCommand]),
        (&[Role::InstallationViewer], &[Action::ReadProjections, Action::ReadMetrics]),
        (&[Role::Admin, Role::InstallationOperator], Action::ALL),
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
    assert!(check(grants(&tenant, &Role::ALL, Scopes::All), Action::ReadData, unknown).is_err());
}

#[test]
fn scopes_take_away_and_never_add() {
    let metrics = Scopes::Only(PermissionSet::of_action(Action::ReadMetrics));
    assert_eq!(allowed(&[Role::Admin, Role::InstallationViewer], metrics), [Action::ReadMetrics]);
    assert_eq!(allowed(&[], metrics), []);
    // A scope that the roles do not have does not make up for one that they have and the credential lacks.
    let tenant = tenant("default");
    let only_calls = Scopes::Only(["command:calls".parse().unwrap()].into_iter().collect());
    let call = Resource::Aggregate { tenant: &tenant, category: "call", id: Uuid::nil() };
    for (role, on_calls) in [(Role::Operator, true), (Role::Billing, false)] {
        let grants = grants(&tenant, &[role], only_calls);
        assert_eq!(check(grants, Action::SendCommand, call).is_ok(), on_calls, "{role}");
        assert_eq!(check(grants, Action::SendCommand, Resource::Tenant(&tenant)).is_ok(), on_calls, "{role}");
        assert!(check(grants, Action::SendCommand, agent(&tenant)).is_err(), "{role}");
        assert!(check(grants, Action::ReadData, call).is_err(), "{role}");
    }
}

#[test]
fn no_role_reaches_another_tenant() {
    let (own, other) = (tenant("default"), tenant("other"));
    let grants = grants(&own, &Role::ALL, Scopes::All);
    for (resource, is_allowed) in [
        (Resource::Tenant(&own), true),
        (agent(&own), true),
        (Resource::Tenant(&other), false),
        (agent(&other), false),
        (Resource::Installation, false),
    ] {
        assert_eq!(check(grants, Action::ReadData, resource).is_ok(), is_allowed, "{resource}");
    }
    assert_eq!(authorise::<ReadData>(grants, Resource::Tenant(&own)).unwrap().tenant(), &own);
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
            Level::Tenant => vec![Resource::Tenant(&tenant), agent(&tenant)],
            Level::Installation => vec![Resource::Installation],
        };
        resources.into_iter().map(move |resource| check(grants, action, resource).unwrap_err().to_string())
    });
    let texts: Vec<_> = texts.map(|text| text.split_once(": ").unwrap().0.to_owned()).collect();
    assert_eq!(
        texts,
        [
            "not allowed to read data in the tenant default",
            "not allowed to read data for agent 00000000-0000-0000-0000-000000000000",
            "not allowed to send commands in the tenant default",
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
