//! Subcommands at a server: the same output as on the database, and errors that say what to do.

use crate::login::{program, run};
use crate::users::{Installation, text};
use reqwest::StatusCode;
use serde_json::json;
use std::path::Path;
use testkit::{Authority, ProgramOutput, Server, sample, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Runs a subcommand at a server, with a token.
pub(crate) async fn at(server: &Server, token: &str, arguments: &[&str]) -> ProgramOutput {
    let home = tempfile::tempdir().unwrap();
    let mut command = program(home.path(), &server.address, arguments);
    command.env("APEX_TOKEN", token);
    run(command).await
}

/// A report without its position, the head of the log and how far it is behind, which grow between two runs: a report is recorded as an export,
/// and so is one that is read at a server, a moment later.
fn without_positions(report: &str, format: &str) -> String {
    let line = |line: &str| match format {
        "csv" => line.rsplitn(4, ',').last().map(str::to_owned),
        "json" => {
            let keys = ["position", "head", "events_behind", "seconds_behind"].map(|key| format!("\"{key}\":"));
            (!keys.iter().any(|key| line.starts_with(key))).then(|| line.to_owned())
        }
        _ => Some(line.to_owned()),
    };
    report.lines().filter_map(line).collect::<Vec<_>>().join("\n")
}

/// Asserts that a report has the same bytes at the server and on the database, except for its position.
pub(crate) async fn assert_same_report(installation: &Installation, server: &Server, report: &[&str], format: &str) {
    let arguments = [&["report", "cost", "--format", format], report].concat();
    let remote = at(server, "tea", &arguments).await.assert_success();
    let local = installation.database.run(&arguments).await.assert_success();
    let (remote, local) = (without_positions(&remote.stdout, format), without_positions(&local.stdout, format));
    assert!(!remote.is_empty(), "{arguments:?} prints nothing");
    assert_eq!(remote, local, "{arguments:?}");
}

/// Asserts that a subcommand prints the same bytes at the server and on the database, and exits alike.
pub(crate) async fn assert_same(installation: &Installation, server: &Server, arguments: &[&str]) {
    // When a key was last used, which is recorded in the background, is part of some lists.
    wait_until(&format!("{arguments:?} prints the same"), async || {
        let remote = at(server, "tea", arguments).await;
        let local = installation.database.run(arguments).await;
        if remote.stdout != local.stdout || remote.code != local.code {
            eprintln!(
                "at the server: {}{}\non the database: {}{}",
                remote.stdout, remote.stderr, local.stdout, local.stderr
            );
        }
        (remote.stdout, remote.code) == (local.stdout, local.code)
    })
    .await;
}

/// An installation with something of everything.
async fn furnished() -> (Installation, String) {
    let installation = Installation::new().await;
    let account = installation.run(&["accounts", "create", "nightly", "--role", "viewer"]).await;
    installation.run(&["accounts", "create", "idle"]).await;
    let role = installation.run(&["roles", "define", "reader", "--permission", "read:agents"]).await;
    let withdrawn = installation.run(&["roles", "define", "old", "--permission", "read:tasks"]).await;
    installation.run(&["roles", "withdraw", &withdrawn]).await;
    installation.run(&["accounts", "grant", &account, &role]).await;
    let team = installation.run(&["teams", "create", "research"]).await;
    installation.run(&["teams", "add", &team, "--account", &account]).await;
    installation.run(&["roles", "grant", "operator", "--team", &team]).await;
    installation.run(&["keys", "create", "--account", &account, "--all-scopes"]).await;
    let agent = "018bd12c-58b0-7683-8a5b-8752d0e86651";
    let bound =
        ["keys", "create", "--account", &account, "--scope", "read:agents", "--agent", agent, "--expires-in", "90d"];
    installation.run(&bound).await;
    let user = installation.run(&["users", "create", "ada@example.org", "--name", "Ada", "--role", "admin"]).await;
    installation.run(&["teams", "add", &team, "--user", &user]).await;
    installation.run(&["users", "invite", "bob@example.org", "--role", "viewer"]).await;
    installation.run(&["tags", "declare", "challenge"]).await;
    installation.database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    (installation, team)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_the_same_at_a_server_and_on_the_database() {
    let (installation, team) = furnished().await;
    let server = installation.serve(&[]).await;
    let lists: [&[&str]; 8] = [
        &["accounts", "list"],
        &["keys", "list"],
        &["teams", "list"],
        &["teams", "members", &team],
        &["roles", "list"],
        &["roles", "assignments"],
        &["users", "list"],
        &["users", "invitations"],
    ];
    for list in lists {
        for format in ["table", "csv", "json"] {
            assert_same(&installation, &server, &[list, &["--format", format]].concat()).await;
        }
    }
    for format in ["table", "csv", "json"] {
        assert_same(&installation, &server, &["access", "review", "--format", format]).await;
    }
    for format in ["table", "json"] {
        assert_same(&installation, &server, &["tags", "list", "--format", format]).await;
    }
    // What does not exist is an error at both.
    assert_same(&installation, &server, &["teams", "members", "018bd12c-58b0-7683-8a5b-8752d0e86651"]).await;
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_and_replays_are_the_same_at_a_server_and_on_the_database() {
    let (installation, team) = furnished().await;
    let server = installation.serve(&[]).await;
    let reports: [&[&str]; 11] = [
        &[],
        &["--by", "model"],
        &["--by", "agent,task"],
        &["--by", "day,provider", "--filter", "outcome="],
        &["--by", "model", "--filter", "model=gpt-4o", "--filter", "model=gpt-4"],
        &["--by", "tag:challenge"],
        &["--by", "hour", "--from", "2023-09-01", "--to", "2023-10-01"],
        &["--by", "hour", "--time-zone", "Asia/Kathmandu", "--from", "2023-09", "--to", "2024-09"],
        &["--by", "model,provider", "--top", "1"],
        &["--by", "month,model", "--top", "1", "--time-zone", "America/New_York"],
        &["--by", "model", "--from", "2023-09", "--to", "2024-09", "--compare", "previous"],
    ];
    for report in reports {
        for format in ["table", "csv", "json"] {
            assert_same_report(&installation, &server, report, format).await;
        }
    }
    let refused = ["report", "cost", "--from", "2023-09-01T00:01:00Z"];
    assert_same(&installation, &server, &refused).await;

    let head = installation.database.head().await.to_string();
    let stream = format!("team/{team}");
    let replays: [&[&str]; 7] = [
        &["--to", &head],
        &["--from", "5", "--to", "9"],
        &["--from", "2023-01-01", "--to", "2023-01-02"],
        &["--stream", &stream],
        &["--stream", &stream, "--as-of", &head],
        &["--stream", &stream, "--as-of", "2023-01-01"],
        &["--stream", "team/018bd12c-58b0-7683-8a5b-8752d0e86651"],
    ];
    for replay in replays {
        assert_same(&installation, &server, &[&["replay"], replay].concat()).await;
    }
    let events = at(&server, "tea", &["replay", "--to", &head]).await.assert_success();
    let own = format!("select count(*)::text from apex.events where tenant_id = 'default' and position <= {head}");
    let own: String =
        sqlx::query_scalar(sqlx::AssertSqlSafe(own)).fetch_one(&installation.database.pool).await.unwrap();
    assert_eq!(events.stdout.lines().count().to_string(), own, "every event of the tenant");
    drop(server.terminate().await);
}

#[allow(clippy::too_many_lines, reason = "a list of commands, each of which needs those before it")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_at_a_server_do_what_they_do_on_the_database() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let done =
        async |arguments: &[&str]| at(&server, "tea", arguments).await.assert_success().stdout.trim_end().to_owned();
    let account = done(&["accounts", "create", "nightly", "--role", "admin"]).await;
    let key = done(&["keys", "create", "--account", &account, "--all-scopes", "--expires-in", "1d"]).await;
    let who = at(&server, &key, &["whoami"]).await.assert_success().json();
    assert!(text(&who, "actor").starts_with(&format!("service_account:{account}")), "{who}");
    assert_eq!((text(&who, "tenant"), who["permissions"].as_array().unwrap().len() > 10), ("default", true));
    let id = key.split('_').nth(1).unwrap();
    let rotated = done(&["keys", "rotate", id, "--overlap", "0s", "--never-expires"]).await;
    wait_until("the old key is refused", async || at(&server, &key, &["whoami"]).await.code == Some(1)).await;
    at(&server, &rotated, &["whoami"]).await.assert_success();
    done(&["keys", "revoke", rotated.split('_').nth(1).unwrap(), "--reason", "test"]).await;
    let revoked = at(&server, &rotated, &["whoami"]).await;
    assert!(revoked.code == Some(1) && revoked.stderr.contains("refuses the token"), "{}", revoked.stderr);

    let role = done(&["roles", "define", "reader", "--permission", "read:agents"]).await;
    done(&["roles", "change", &role, "--permission", "read:tasks", "--permission", "read:agents"]).await;
    let team = done(&["teams", "create", "research"]).await;
    done(&["teams", "rename", &team, "science"]).await;
    done(&["teams", "add", &team, "--account", &account]).await;
    done(&["roles", "grant", &role, "--team", &team]).await;
    done(&["accounts", "grant", &account, "billing"]).await;
    done(&["accounts", "revoke", &account, "billing", "--reason", "test"]).await;
    done(&["roles", "revoke", &role, "--team", &team]).await;
    let agent = uuid::Uuid::now_v7().to_string();
    let register = format!("mutation {{ registerAgent(input: {{ id: \"{agent}\", name: \"ada\" }}) {{ outcome }} }}");
    let (_, registered) = crate::users::ask(&server, "tea", &register).await;
    assert!(registered["errors"].is_null(), "{registered}");
    done(&["teams", "add", &team, "--agent", &agent]).await;
    done(&["roles", "grant", "viewer", "--account", &account, "--on-team", &team]).await;
    done(&["keys", "create", "--account", &account, "--team", &team, "--all-scopes"]).await;
    for list in [
        &["teams", "agents", &team, "--format", "json"][..],
        &["teams", "list"],
        &["roles", "assignments", "--format", "csv"],
        &["keys", "list", "--format", "csv"],
        &["access", "review", "--format", "csv"],
    ] {
        assert_same(&installation, &server, list).await;
        assert!(done(list).await.contains(&team) || list[1] == "agents", "{list:?}");
    }
    done(&["roles", "revoke", "viewer", "--account", &account, "--on-team", &team]).await;
    done(&["teams", "remove", &team, "--agent", &agent]).await;
    assert!(!done(&["teams", "agents", &team, "--format", "csv"]).await.contains(&agent));
    done(&["teams", "remove", &team, "--account", &account]).await;
    done(&["teams", "close", &team]).await;
    done(&["roles", "withdraw", &role, "--reason", "test"]).await;
    let user = done(&["users", "create", "ada@example.org", "--name", "Ada", "--role", "admin"]).await;
    let link = done(&["users", "reset-link", &user, "--expires-in", "1h"]).await;
    assert!(link.starts_with("apexpw_"), "{link}");
    done(&["users", "disable", &user]).await;
    done(&["users", "enable", &user]).await;
    done(&["users", "disable-codes", &user]).await;
    let invitation = done(&["users", "invite", "bob@example.org"]).await;
    done(&["users", "revoke-invitation", invitation.split('_').nth(1).unwrap()]).await;
    done(&["tags", "declare", "team"]).await;
    done(&["tags", "withdraw", "team"]).await;
    done(&["accounts", "disable", &account, "--reason", "test"]).await;
    done(&["accounts", "enable", &account]).await;
    let again = at(&server, "tea", &["users", "enable", &user]).await.assert_success();
    assert!(again.stderr.contains("It was so before."), "{}", again.stderr);
    for list in [
        &["accounts", "list"][..],
        &["teams", "list"],
        &["roles", "list"],
        &["users", "list"],
        &["users", "invitations"],
    ] {
        assert_same(&installation, &server, list).await;
    }
    done(&["users", "erase", &user]).await;
    assert_same(&installation, &server, &["users", "list"]).await;
    // A rejection has the reason, and changes nothing.
    let rejected = at(&server, "tea", &["roles", "grant", &role, "--account", &account]).await;
    assert!(rejected.code == Some(1) && rejected.stderr.contains("withdrawn"), "{}", rejected.stderr);
    let actors = "select distinct metadata->>'actor' from apex.events where type = 'team.created'";
    assert_eq!(installation.texts(actors).await, ["api"], "the event names who sent the request");
    drop(server.terminate().await);
}

/// Runs `whoami` at an address.
async fn whoami_at(home: &Path, url: &str, arguments: &[&str]) -> ProgramOutput {
    run(program(home, url, &[&["whoami", "--token", "tea"], arguments].concat())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_say_what_to_do() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let home = tempfile::tempdir().unwrap();
    let said = |output: ProgramOutput, expected: &str| {
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{}", output.stderr);
        assert!(output.stderr.contains(expected), "no {expected:?} in {}", output.stderr);
    };
    said(at(&server, "coffee", &["whoami"]).await, "the server refuses the token");
    said(run(program(home.path(), &server.address, &["whoami"])).await, "apex login --url");
    for local in [&["migrate"][..], &["tenants", "list"], &["log", "verify"], &["limits", "show"]] {
        said(at(&server, "tea", local).await, "works on the database");
    }
    let account = installation.run(&["accounts", "create", "reader", "--role", "viewer"]).await;
    let key = installation.run(&["keys", "create", "--account", &account, "--all-scopes"]).await;
    let forbidden = at(&server, &key, &["accounts", "create", "other"]).await;
    said(forbidden, "ask an administrator");
    said(whoami_at(home.path(), "http://apex.example", &[]).await, "in plain text");
    said(whoami_at(home.path(), "http://127.0.0.1:1", &[]).await, "cannot be reached");
    let wrong = whoami_at(home.path(), "https://ada:tea@apex.example", &[]).await;
    assert!(wrong.code == Some(2) && wrong.stderr.contains("no credential belongs in the URL"), "{}", wrong.stderr);
    said(whoami_at(home.path(), &format!("{}/graphiql", server.address), &[]).await, "correct APEX_URL");

    // Something else listens there.
    for answer in
        ["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let other = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(stream.read(&mut [0; 4096]).await);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        said(whoami_at(home.path(), &url, &[]).await, "does not answer as an Apex server does");
        other.await.unwrap();
    }
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_the_server_is_checked() {
    let installation = Installation::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (authority, other) = (Authority::new(), Authority::new());
    let certificate = authority.issue(&["localhost", "127.0.0.1"]);
    std::fs::write(path("certificate.pem"), &certificate.certificate).unwrap();
    std::fs::write(path("key.pem"), &certificate.key).unwrap();
    std::fs::write(path("ca.pem"), authority.pem()).unwrap();
    std::fs::write(path("other.pem"), other.pem()).unwrap();
    std::fs::write(path("empty.pem"), "").unwrap();
    let tls = ["--tls-certificate", &path("certificate.pem"), "--tls-key", &path("key.pem")];
    let server = installation.serve(&tls).await;
    assert!(server.address.starts_with("https://"), "{}", server.address);
    let trusted = whoami_at(folder.path(), &server.address, &["--ca-file", &path("ca.pem")]).await.assert_success();
    assert_eq!(text(&trusted.json(), "tenant"), "default");
    for arguments in [&[][..], &["--ca-file", &path("other.pem")]] {
        let refused = whoami_at(folder.path(), &server.address, arguments).await;
        assert!(refused.code == Some(1) && refused.stderr.contains("--ca-file (APEX_CA_FILE)"), "{}", refused.stderr);
    }
    let empty = whoami_at(folder.path(), &server.address, &["--ca-file", &path("empty.pem")]).await;
    assert!(empty.stderr.contains("has no certificate"), "{}", empty.stderr);
    drop(server.terminate().await);
}

/// A server sends no secret of the command line to its log, and the database has none in plain text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_of_a_command_is_in_a_log() {
    let installation = Installation::new().await;
    let server = installation.serve(&["--log", "debug"]).await;
    let account = at(&server, "tea", &["accounts", "create", "a"]).await.assert_success().stdout.trim().to_owned();
    let created =
        at(&server, "tea", &["keys", "create", "--account", &account, "--all-scopes", "--log", "trace"]).await;
    let key = created.assert_success();
    let secret = key.stdout.trim().rsplit('_').next().unwrap().to_owned();
    assert!(secret.len() == 64 && !key.stderr.contains(&secret), "{}", key.stderr);
    let url = format!("{}/graphql", server.address);
    let asked = testkit::http_client().post(url).bearer_auth(key.stdout.trim()).json(&json!({ "query": "{ head }" }));
    assert_eq!(asked.send().await.unwrap().status(), StatusCode::OK);
    let (_, log) = server.terminate().await;
    assert!(!log.contains(&secret), "the secret of a key is in the log of the server");
}
