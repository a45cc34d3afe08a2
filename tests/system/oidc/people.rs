//! Which user a person is, and with which roles.

use super::browser::Browser;
use super::providers::{Provider, serve};
use crate::users::{Installation, PASSWORD, login, post, text};
use reqwest::StatusCode;
use serde_json::{Value, json};

fn person(email: &str, is_verified: bool, groups: &[&str]) -> Value {
    json!({ "email": email, "email_verified": is_verified, "groups": groups })
}

async fn genuine(lines: &str) -> Provider {
    let provider = Provider::genuine("okta", json!({ "claimsInIdToken": true })).await;
    provider.with("scopes = ['profile', 'email', 'groups']").with(lines)
}

/// The events about roles, with their actors.
async fn role_events(installation: &Installation) -> Vec<String> {
    let query = "select concat_ws(' ', type, payload->'role'->>'id', metadata->>'actor') from apex.events
                 where category = 'role_assignment' order by position";
    installation.texts(query).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_give_roles_that_go_with_them_and_others_stay() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let define = ["roles", "define", "readers", "--permission", "read:agents"];
    let custom = installation.run(&define).await;
    let okta = genuine(&format!(
        "create_users = true\n[provider.roles]\nstaff = ['viewer', '{custom}']\nchiefs = ['operator']\n\
         lost = ['018bd12c-58b0-7683-8a5b-8752d0e86651']"
    ))
    .await;
    okta.say(&json!({ "ada": person("ada@example.org", true, &["staff"]) }));
    let server = serve(&installation, &folder, &[&okta], &[]).await;
    let mut browser = Browser::new();
    assert_eq!(browser.sign_in(&server, "okta", "ada").await.status, StatusCode::OK);
    let session = browser.session(&server).await;
    let user = text(&session, "userId").to_owned();
    assert_eq!(session["roles"], json!(["viewer", custom]), "{session}");
    assert_eq!(
        role_events(&installation).await,
        ["role.granted viewer oidc:okta".to_owned(), format!("role.granted {custom} oidc:okta")]
    );
    // The access review names the provider.
    let review = installation.run(&["access", "review", "--format", "json"]).await;
    assert!(review.contains("oidc:okta"), "{review}");
    // An administrator grants a role, which no group gives.
    installation.run(&["roles", "grant", "auditor", "--user", &user]).await;
    // Other groups: the roles of the old one are revoked, and open sessions lose them at once.
    okta.say(&json!({ "ada": person("ada@example.org", true, &["chiefs", "lost"]) }));
    let mut other = Browser::new();
    assert_eq!(other.sign_in(&server, "okta", "ada").await.status, StatusCode::OK);
    for browser in [&mut browser, &mut other] {
        assert_eq!(browser.session(&server).await["roles"], json!(["operator", "auditor"]));
    }
    // No groups, and nothing more to do for the next one.
    okta.say(&json!({ "ada": person("ada@example.org", true, &[]) }));
    for _ in 0..2 {
        assert_eq!(Browser::new().sign_in(&server, "okta", "ada").await.status, StatusCode::OK);
        assert_eq!(browser.session(&server).await["roles"], json!(["auditor"]));
    }
    let events = role_events(&installation).await;
    assert_eq!(
        events[2..],
        [
            "role.granted auditor command line".to_owned(),
            "role.granted operator oidc:okta".to_owned(),
            "role.revoked viewer oidc:okta".to_owned(),
            format!("role.revoked {custom} oidc:okta"),
            "role.revoked operator oidc:okta".to_owned(),
        ]
    );
    let (_, log) = server.terminate().await;
    assert!(log.contains("a group gives a role that cannot be granted"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_an_existing_user_by_a_verified_address_only_where_that_is_set() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let linking = genuine("link_by_email = true").await;
    let server = serve(&installation, &folder, &[&linking], &["--open-registration"]).await;
    let ada = installation.user(&server, "ada@example.org", "viewer").await;
    // Who registered has not proved that the address is theirs.
    let registration = json!({ "email": "eve@example.org", "password": PASSWORD });
    assert_eq!(post(&server, "/auth/register", None, registration).await.0, StatusCode::ACCEPTED);
    linking.say(&json!({
        "unverified": person("ada@example.org", false, &[]),
        "verified": person("ADA@example.org", true, &[]),
        "eve": person("eve@example.org", true, &[]),
        "nobody": person("nobody@example.org", true, &[]),
    }));
    for (name, code) in [("unverified", "NO_USER"), ("eve", "ADDRESS_TAKEN"), ("nobody", "NO_USER")] {
        let shown = Browser::new().sign_in(&server, "okta", name).await;
        assert_eq!((shown.status, shown.code()), (StatusCode::FORBIDDEN, code), "{name}");
    }
    assert_eq!(installation.texts("select count(*)::text from apex.user_identities").await, ["0"]);
    let mut browser = Browser::new();
    assert_eq!(browser.sign_in(&server, "okta", "verified").await.status, StatusCode::OK);
    assert_eq!(browser.session(&server).await["userId"], ada["userId"]);
    // From then on the subject counts, whatever the address. The password is still one.
    linking.say(&json!({ "verified": person("changed@example.org", false, &[]) }));
    let mut browser = Browser::new();
    assert_eq!(browser.sign_in(&server, "okta", "verified").await.status, StatusCode::OK);
    assert_eq!(browser.session(&server).await["userId"], ada["userId"]);
    assert_eq!(login(&server, "ada@example.org", PASSWORD).await.0, StatusCode::OK);
    drop(server.terminate().await);
    // Where it is not set, the same address is nobody's proof.
    let plain = genuine("create_users = true").await;
    plain.say(
        &json!({ "verified": person("ada@example.org", true, &[]), "new": person("ada@example.org", false, &[]) }),
    );
    let server = serve(&installation, &folder, &[&plain], &[]).await;
    assert_eq!(Browser::new().sign_in(&server, "okta", "verified").await.code(), "ADDRESS_TAKEN");
    // An address that is not verified is not stored, so that it takes nothing from the one whose it is.
    let mut browser = Browser::new();
    assert_eq!(browser.sign_in(&server, "okta", "new").await.status, StatusCode::OK);
    let session = browser.session(&server).await;
    assert_eq!(session["email"], Value::Null);
    assert_ne!(session["userId"], ada["userId"]);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_disabled_is_refused_and_who_is_erased_is_forgotten() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let okta = genuine("create_users = true\n[provider.roles]\nstaff = ['viewer']\nchiefs = ['admin']").await;
    okta.say(&json!({ "ada": person("ada@example.org", true, &["staff"]) }));
    let server = serve(&installation, &folder, &[&okta], &[]).await;
    let mut browser = Browser::new();
    assert_eq!(browser.sign_in(&server, "okta", "ada").await.status, StatusCode::OK);
    let user = text(&browser.session(&server).await, "userId").to_owned();
    installation.run(&["users", "disable", &user]).await;
    okta.say(&json!({ "ada": person("ada@example.org", true, &["chiefs"]) }));
    let shown = Browser::new().sign_in(&server, "okta", "ada").await;
    assert_eq!((shown.status, shown.code()), (StatusCode::FORBIDDEN, "NOT_ACTIVE"));
    // Groups of a user who is refused give nothing.
    assert_eq!(role_events(&installation).await, ["role.granted viewer oidc:okta"]);
    installation.run(&["users", "enable", &user]).await;
    assert_eq!(Browser::new().sign_in(&server, "okta", "ada").await.status, StatusCode::OK);
    installation.run(&["users", "erase", &user]).await;
    assert_eq!(installation.texts("select count(*)::text from apex.user_identities").await, ["0"]);
    assert!(browser.session(&server).await.get("errors").is_some());
    // The person is a stranger: another user, of whom the log knows nothing.
    let mut browser = Browser::new();
    assert_eq!(browser.sign_in(&server, "okta", "ada").await.status, StatusCode::OK);
    assert_ne!(text(&browser.session(&server).await, "userId"), user);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_and_groups_limit_who_may_sign_in() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let okta = genuine(
        "create_users = true\ndomains = ['Example.org']\nrequire_group = true\n[provider.roles]\nstaff = ['viewer']",
    )
    .await;
    okta.say(&json!({
        "ada": person("ada@example.org", true, &["staff"]),
        "bob": person("bob@example.com", true, &["staff"]),
        "cyd": person("cyd@example.org", false, &["staff"]),
        "dan": person("dan@example.org", true, &["chess"]),
    }));
    let server = serve(&installation, &folder, &[&okta], &[]).await;
    for (name, code) in [("bob", "DOMAIN_NOT_ALLOWED"), ("cyd", "DOMAIN_NOT_ALLOWED"), ("dan", "NO_GROUP")] {
        let shown = Browser::new().sign_in(&server, "okta", name).await;
        assert_eq!((shown.status, shown.code()), (StatusCode::FORBIDDEN, code), "{name}");
    }
    assert_eq!(installation.texts("select count(*)::text from apex.user_profiles").await, ["0"]);
    assert_eq!(Browser::new().sign_in(&server, "okta", "ada").await.status, StatusCode::OK);
    drop(server.terminate().await);
}

/// Of many first sign-ins of a person at once, in two processes, one user comes to be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_signs_in_many_times_at_once_becomes_one_user() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let okta = genuine("create_users = true\n[provider.roles]\nstaff = ['viewer']").await;
    okta.say(&json!({ "ada": person("ada@example.org", true, &["staff"]) }));
    let servers =
        [serve(&installation, &folder, &[&okta], &[]).await, serve(&installation, &folder, &[&okta], &[]).await];
    let mut returned = Vec::new();
    for number in 0..8 {
        let mut browser = Browser::new();
        let start = format!("{}/auth/login/okta", servers[number % 2].address);
        returned.push((browser.sign_in_at_provider(&start, "ada").await, browser));
    }
    let all = returned.into_iter().map(|(callback, mut browser)| async move { browser.open(callback.as_str()).await });
    for shown in futures::future::join_all(all).await {
        assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
    }
    assert_eq!(installation.texts("select count(*)::text from apex.events where type = 'user.created'").await, ["1"]);
    assert_eq!(installation.texts("select count(*)::text from apex.events where type = 'role.granted'").await, ["1"]);
    assert_eq!(installation.texts("select count(distinct user_id)::text from apex.user_sessions").await, ["1"]);
    assert_eq!(installation.texts("select count(*)::text from apex.user_sessions").await, ["8"]);
    for server in servers {
        drop(server.terminate().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_whom_a_provider_creates_count_for_the_limits_on_registration() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let okta = genuine("create_users = true\n[provider.roles]\nstaff = ['viewer']").await;
    let names = ["ada", "bob", "eve", "dan"];
    let people = names.map(|name| {
        let groups: &[&str] = if matches!(name, "eve" | "dan") { &["staff"] } else { &[] };
        (name.to_owned(), person(&format!("{name}@example.org"), true, groups))
    });
    okta.say(&Value::Object(people.into_iter().collect()));
    let limits = ["--max-registered-users", "2", "--max-roleless-users", "1", "--sign-in-attempts", "1000"];
    let server = serve(&installation, &folder, &[&okta], &limits).await;
    // One without a role, none more of them, one with a role, and then nobody.
    for (name, is_full) in [("ada", false), ("bob", true), ("eve", false), ("dan", true), ("ada", false)] {
        let shown = Browser::new().sign_in(&server, "okta", name).await;
        match is_full {
            true => assert_eq!((shown.status, shown.code()), (StatusCode::FORBIDDEN, "REGISTRATION_FULL"), "{name}"),
            false => assert_eq!(shown.status, StatusCode::OK, "{name}: {shown:?}"),
        }
    }
    assert_eq!(installation.texts("select count(*)::text from apex.user_profiles").await, ["2"]);
    assert_eq!(installation.texts("select count(*)::text from apex.user_identities").await, ["2"]);
    testkit::wait_until("the refusals are recorded", async || {
        let query =
            "select coalesce(sum((payload->>'count')::int), 0)::text from apex.events where type = 'access.refused'
                         and payload->>'subject' = 'oidc:okta' and payload->>'reason' = 'registration_full'";
        installation.texts(query).await == ["2"]
    })
    .await;
    drop(server.terminate().await);
}
