//! What ends with a credential, and what guessing one is limited to: sessions that rest on a password or codes that were
//! replaced, changes at the same moment, second factors, registrations and invitations.

use crate::graphql::{code, is_error};
use crate::identities::websocket;
use crate::users::{Installation, PASSWORD, ask, enable_codes, login, post, text, totp};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::{Server, TIMEOUT, wait_until};

const NEW: &str = "oolong in the evening";

async fn status(server: &Server, access: &str) -> StatusCode {
    ask(server, access, "{ head }").await.0
}

async fn refresh(server: &Server, tokens: &Value) -> StatusCode {
    let token = json!({ "refreshToken": text(tokens, "refreshToken") });
    post(server, "/auth/refresh", None, token).await.0
}

async fn change_password(server: &Server, access: &str, current: &str, new: &str) -> StatusCode {
    let body = json!({ "currentPassword": current, "newPassword": new });
    post(server, "/auth/password", Some(access), body).await.0
}

/// Runs SQL as the owner of the database.
async fn plant(installation: &Installation, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&mut installation.database.owner().await).await.unwrap();
}

/// Lets statements wait for the advisory lock 4711, which the returned connection holds.
async fn hold(installation: &Installation, trigger: &'static str) -> sqlx::PgConnection {
    plant(installation, trigger).await;
    let mut holder = installation.database.owner().await;
    sqlx::query("select pg_advisory_lock(4711)").execute(&mut holder).await.unwrap();
    holder
}

async fn release(holder: &mut sqlx::PgConnection) {
    sqlx::query("select pg_advisory_unlock(4711)").execute(holder).await.unwrap();
}

/// Waits until a statement waits for the lock. The view shows the locks of all databases.
async fn is_held(installation: &Installation) {
    let waiting = "select count(*)::text from pg_locks where locktype = 'advisory' and objid = 4711 and not granted
                   and database = (select oid from pg_database where datname = current_database())";
    wait_until("a statement waits", async || installation.texts(waiting).await == ["1"]).await;
}

/// A trigger that fails, as a process that ends between the event and the ending of the sessions.
const SESSIONS_ARE_NOT_ENDED: &str = "
    create function public.not_ended() returns trigger language plpgsql as $$ begin raise exception 'planted'; end $$;
    create trigger not_ended before update of revoked_at on apex.user_sessions
        for each row execute function public.not_ended();";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_with_the_old_password_does_not_outlive_its_change() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let own = installation.user(&server, "ada@example.org", "viewer").await;
    let mut holder = hold(
        &installation,
        "create function public.hold() returns trigger language plpgsql as
             $$ begin perform pg_advisory_xact_lock(4711); return new; end $$;
         create trigger hold before insert on apex.user_sessions for each row execute function public.hold();",
    )
    .await;
    // The password was checked, and the session is not stored yet.
    let (signed_in, ()) = tokio::join!(login(&server, "ada@example.org", PASSWORD), async {
        is_held(&installation).await;
        let changed = change_password(&server, text(&own, "accessToken"), PASSWORD, NEW).await;
        assert_eq!(changed, StatusCode::OK);
        release(&mut holder).await;
    });
    let (answered, tokens) = signed_in;
    assert_eq!(answered, StatusCode::OK, "{tokens}");
    assert_eq!(status(&server, text(&tokens, "accessToken")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&server, &tokens).await, StatusCode::UNAUTHORIZED);
    // The session that made the change goes on, and is the only one in the list.
    assert_eq!(status(&server, text(&own, "accessToken")).await, StatusCode::OK);
    let (_, listed) = ask(&server, text(&own, "accessToken"), "{ viewer { sessions { uuid } } }").await;
    assert_eq!(listed["data"]["viewer"]["sessions"], json!([{ "uuid": text(&own, "sessionId") }]), "{listed}");
    assert_eq!(refresh(&server, &own).await, StatusCode::OK);
    drop(server.terminate().await);
}

/// Each change ends the sessions that did not make it, in every process within a second, although their rows stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_with_their_credentials_also_if_the_process_ends_in_between() {
    let installation = Installation::new().await;
    let servers = [installation.serve(&[]).await, installation.serve(&[]).await];
    let own = installation.user(&servers[0], "ada@example.org", "viewer").await;
    let (access, user) = (text(&own, "accessToken"), text(&own, "userId"));
    plant(&installation, SESSIONS_ARE_NOT_ENDED).await;
    let mut password = PASSWORD;
    let (mut secret, mut times) = (None, Vec::new());
    for change in ["password", "codes", "no codes", "link"] {
        let code = secret.as_ref().map(|secret: &String| totp(secret, 1));
        let body = json!({ "email": "ada@example.org", "password": password, "code": code });
        let (answered, other) = post(&servers[0], "/auth/login", None, body).await;
        assert_eq!(answered, StatusCode::OK, "{change}: {other}");
        let other = text(&other, "accessToken").to_owned();
        // A session that began in one process is known to the other.
        wait_until("the session is accepted", async || status(&servers[1], &other).await == StatusCode::OK).await;
        let socket = websocket(&servers[1], &other).await;
        match change {
            "password" => {
                assert_eq!(change_password(&servers[0], access, password, NEW).await, StatusCode::OK);
                password = NEW;
            }
            "codes" => secret = Some(enable_codes(&servers[0], access, password).await.0),
            "no codes" => {
                // The code of the next step was used by the other session.
                installation.run(&["users", "disable-codes", user]).await;
                secret = None;
            }
            _ => {
                let link = installation.run(&["users", "reset-link", user]).await;
                let body = json!({ "token": link, "password": PASSWORD });
                assert_eq!(post(&servers[0], "/auth/password-reset", None, body).await.0, StatusCode::OK);
            }
        }
        let changed_at = Instant::now();
        let is_own = ["password", "codes"].contains(&change);
        for server in &servers {
            while status(server, &other).await == StatusCode::OK {
                assert!(changed_at.elapsed() < TIMEOUT, "{change}: the session is still accepted");
                if is_own {
                    assert_eq!(status(server, access).await, StatusCode::OK, "{change}: its own session ended");
                }
            }
        }
        times.push(changed_at.elapsed());
        println!("{change}: other sessions were refused after {:?}", changed_at.elapsed());
        assert_eq!(tokio::time::timeout(TIMEOUT, socket).await.unwrap(), 4403, "{change}");
        // Of an administrator's removal of codes, the row of the session says that it has ended, which this test prevents: the
        // session began with the credentials that count again.
        while change != "no codes" && changed_at.elapsed() < Duration::from_millis(1500) {
            for server in &servers {
                let expected = if is_own { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
                assert_eq!(status(server, access).await, expected, "{change}: the session that made the change");
            }
        }
    }
    // What is promised within a second may take longer here: other tests run at the same time.
    times.sort_unstable();
    assert!(times[times.len() / 2] < Duration::from_secs(10), "{times:?}");
    // Control: the rows say that no session was ended.
    assert_eq!(installation.texts("select count(revoked_at)::text from apex.user_sessions").await, ["0"]);
    for server in servers {
        drop(server.terminate().await);
    }
}

/// The first of two changes is noted after the second: the row that counts stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_noted_late_does_not_delete_the_password_that_counts() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let ada = installation.user(&server, "ada@example.org", "viewer").await;
    let access = text(&ada, "accessToken");
    let mut holder = hold(
        &installation,
        "create table public.held (id uuid);
         grant all on public.held to public;
         create function public.note() returns trigger language plpgsql as
             $$ begin insert into public.held select new.credential_id where not exists (select from public.held);
                return new; end $$;
         create trigger note before insert on apex.user_passwords for each row execute function public.note();
         create function public.hold() returns trigger language plpgsql as
             $$ begin if new.credential_id in (select id from public.held) then perform pg_advisory_xact_lock(4711); end if;
                return new; end $$;
         create trigger hold before update of is_confirmed on apex.user_passwords
             for each row execute function public.hold();",
    )
    .await;
    let (first, second, ()) = tokio::join!(
        change_password(&server, access, PASSWORD, NEW),
        async {
            is_held(&installation).await;
            loop {
                // Until the directory knows the first change.
                let changed = change_password(&server, access, NEW, "jasmine at dawn").await;
                if changed != StatusCode::UNAUTHORIZED {
                    return changed;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        },
        async {
            let set = "select count(*)::text from apex.events where type = 'user.password_set'";
            wait_until("both passwords are set", async || installation.texts(set).await == ["3"]).await;
            // Long enough for what the second change deletes.
            tokio::time::sleep(Duration::from_millis(500)).await;
            release(&mut holder).await;
        }
    );
    assert_eq!((first, second), (StatusCode::OK, StatusCode::OK));
    assert_eq!(login(&server, "ada@example.org", NEW).await.0, StatusCode::UNAUTHORIZED);
    let (answered, answer) = login(&server, "ada@example.org", "jasmine at dawn").await;
    assert_eq!(answered, StatusCode::OK, "the hash that counts was deleted: {answer}");
    // The others were deleted.
    assert_eq!(installation.texts("select count(*)::text from apex.user_passwords").await, ["1"]);
    drop(server.terminate().await);
}

/// Two secrets of one-time codes that are confirmed at the same moment, and one secret that is confirmed twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_that_are_confirmed_at_the_same_moment_leave_those_that_count() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let ada = installation.user(&server, "ada@example.org", "viewer").await;
    let access = text(&ada, "accessToken");
    let start = async || post(&server, "/auth/totp", Some(access), json!({ "password": PASSWORD })).await.1;
    let (one, other) = (start().await, start().await);
    let confirm = async |started: &Value, steps_later: u64| {
        let code = json!({ "id": text(started, "id"), "code": totp(text(started, "secret"), steps_later) });
        post(&server, "/auth/totp/confirm", Some(access), code).await
    };
    // The first is enabled, and the second one, which was started before, replaces it: its row is there.
    let answers = [confirm(&one, 0).await, confirm(&other, 0).await];
    assert!(answers.iter().all(|(answered, _)| *answered == StatusCode::OK), "{answers:?}");
    let again = confirm(&other, 1).await;
    assert_eq!(again.0, StatusCode::UNAUTHORIZED, "a secret was confirmed twice: {}", again.1);
    let recovery = answers[1].1["recoveryCodes"][0].as_str().unwrap();
    let body = json!({ "email": "ada@example.org", "password": PASSWORD, "recoveryCode": recovery });
    assert_eq!(post(&server, "/auth/login", None, body).await.0, StatusCode::OK);
    assert_eq!(installation.texts("select count(*)::text from apex.user_totp_secrets").await, ["1"]);
    drop(server.terminate().await);
}

/// A process that ended between the event and the deletion of what it replaced leaves rows that the sweeper deletes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_passwords_are_swept() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let ada = installation.user(&server, "ada@example.org", "viewer").await;
    plant(
        &installation,
        "create function public.not_noted() returns trigger language plpgsql as $$ begin raise exception 'planted'; end $$;
         create trigger not_noted before update of is_confirmed on apex.user_passwords
             for each row execute function public.not_noted();",
    )
    .await;
    assert_eq!(change_password(&server, text(&ada, "accessToken"), PASSWORD, NEW).await, StatusCode::OK);
    assert_eq!(installation.texts("select count(*)::text from apex.user_passwords").await, ["2"]);
    drop(server.terminate().await);
    plant(
        &installation,
        "drop trigger not_noted on apex.user_passwords;
         update apex.user_passwords set created_at = now() - interval '2 hours';",
    )
    .await;
    // The first sweep finds that one counts, and the next one that the other does not.
    for left in ["2", "1"] {
        let server = installation.serve(&[]).await;
        let confirmed = "select count(*)::text from apex.user_passwords where is_confirmed";
        wait_until("the rows are swept", async || {
            installation.texts("select count(*)::text from apex.user_passwords").await == [left]
                && installation.texts(confirmed).await == ["1"]
        })
        .await;
        assert_eq!(login(&server, "ada@example.org", NEW).await.0, StatusCode::OK);
        drop(server.terminate().await);
    }
}

/// One address may add rows faster than a batch of them would be deleted by each sweep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_number_of_expired_rows_is_deleted_by_one_sweep() {
    let installation = Installation::new().await;
    // It creates the key-encryption key.
    drop(installation.serve(&[]).await.terminate().await);
    plant(
        &installation,
        "insert into apex.used_sign_in_states (state_id, expires_at)
             select gen_random_uuid(), now() - interval '2 hours' from generate_series(1, 2500);
         insert into apex.program_sign_ins (sign_in_id, kind, key_encryption_key, code_hash, user_code_hash, expires_at)
             select gen_random_uuid(), 'device', 1, sha256('a'), sha256(n::text::bytea), now() - interval '2 hours'
             from generate_series(1, 2500) n;
         insert into apex.user_links (link_id, tenant_id, user_id, key_encryption_key, hash, expires_at)
             select gen_random_uuid(), 'default', gen_random_uuid(), 1, sha256('a'), now() - interval '1 second'
             from generate_series(1, 2500);
         -- The clocks of processes differ from that of the database.
         insert into apex.used_sign_in_states (state_id, expires_at) values (gen_random_uuid(), now() - interval '1 minute');",
    )
    .await;
    let left = "select concat_ws(' ', (select count(*) from apex.used_sign_in_states),
        (select count(*) from apex.program_sign_ins), (select count(*) from apex.user_links))";
    assert_eq!(installation.texts(left).await, ["2501 2500 2500"]);
    let server = installation.serve(&[]).await;
    wait_until("the rows are deleted", async || installation.texts(left).await == ["1 0 0"]).await;
    drop(server.terminate().await);
}

/// The limit of an account alone would allow a thousand guesses here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_factors_have_a_limit_of_their_own_in_all_processes_together() {
    let installation = Installation::new().await;
    let servers = [installation.serve(&[]).await, installation.serve(&[]).await];
    let ada = installation.user(&servers[0], "ada@example.org", "viewer").await;
    let (secret, recovery) = enable_codes(&servers[0], text(&ada, "accessToken"), PASSWORD).await;
    let with = |server: &Server, name: &str, value: &str| {
        let mut body = json!({ "email": "ada@example.org", "password": PASSWORD });
        body[name] = value.into();
        testkit::http_client().post(format!("{}/auth/login", server.address)).json(&body).send()
    };
    wait_until("codes are demanded everywhere", async || {
        is_error(&login(&servers[1], "ada@example.org", PASSWORD).await.1, "CODE_REQUIRED")
    })
    .await;
    // At the same moment, of both kinds, in both processes.
    let guesses = (0..12).map(|number| {
        let kind = if number % 4 < 2 { "code" } else { "recoveryCode" };
        with(&servers[number % 2], kind, "000000")
    });
    let answers = futures::future::join_all(guesses).await.into_iter().map(|answer| answer.unwrap().status());
    let mut statuses: Vec<_> = answers.collect();
    // Some may not have been checked, because too many passwords were at this moment.
    while !statuses.contains(&StatusCode::TOO_MANY_REQUESTS) {
        assert!(statuses.len() < 40, "{statuses:?}");
        statuses.push(with(&servers[0], "code", "000000").await.unwrap().status());
    }
    let wrong = statuses.iter().filter(|status| **status == StatusCode::UNAUTHORIZED).count();
    assert_eq!(wrong, 5, "{statuses:?}");
    // The right ones wait, too.
    for server in &servers {
        let answer = with(server, "code", &totp(&secret, 1)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=31).contains(&seconds), "{seconds}");
    }
    let wait = "update apex.user_totp_secrets set last_failure_at = last_failure_at - interval '30 seconds'";
    plant(&installation, wait).await;
    assert_eq!(with(&servers[0], "recoveryCode", "wrong").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    // The wait doubles, and ends with a right one.
    plant(&installation, wait).await;
    assert_eq!(with(&servers[1], "recoveryCode", &recovery[0]).await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    plant(&installation, wait).await;
    assert_eq!(with(&servers[1], "recoveryCode", &recovery[0]).await.unwrap().status(), StatusCode::OK);
    assert_eq!(installation.texts("select failures::text from apex.user_totp_secrets").await, ["0"]);
    assert_eq!(with(&servers[0], "code", "000000").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    for server in servers {
        drop(server.terminate().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_registration_is_bounded() {
    let installation = Installation::new().await;
    let register = async |server: &Server, name: &str| {
        let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
        let (answered, answer) = post(server, "/auth/register", None, body).await;
        let code = if answered == StatusCode::ACCEPTED { String::new() } else { code(&answer).to_owned() };
        (answered.as_u16(), code)
    };
    let full = || (403, "REGISTRATION_FULL".to_owned());
    let limits = [
        "--open-registration",
        "--max-roleless-users",
        "2",
        "--max-registered-users",
        "3",
        "--registrations-per-address",
        "1000",
    ];
    let server = installation.serve(&limits).await;
    for name in ["ada", "bob"] {
        assert_eq!(register(&server, name).await.0, 202);
    }
    // Also for an address that is taken: it is not told.
    for name in ["eve", "ada"] {
        assert_eq!(register(&server, name).await, full());
    }
    // One with a role makes room for another one without.
    let users = installation.run(&["users", "list", "--format", "json"]).await;
    let users: Value = serde_json::from_str(&users).unwrap();
    installation.run(&["roles", "grant", "viewer", "--user", users[0]["user"].as_str().unwrap()]).await;
    wait_until("there is room", async || register(&server, "eve").await.0 == 202).await;
    installation.run(&["roles", "grant", "viewer", "--user", users[1]["user"].as_str().unwrap()]).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(register(&server, "mallory").await, full(), "three have registered");
    let created = "select count(*)::text from apex.events where type = 'user.created'";
    assert_eq!(installation.texts(created).await, ["3"]);
    assert_eq!(installation.texts("select count(*)::text from apex.user_profiles").await, ["3"]);
    // Administrators and invitations are not limited by it.
    installation.run(&["users", "create", "dave@example.org"]).await;
    drop(server.terminate().await);
    let server = installation.serve(&["--open-registration", "--registrations-per-address", "2"]).await;
    for name in ["g1", "g2"] {
        assert_eq!(register(&server, name).await.0, 202);
    }
    assert_eq!(register(&server, "g3").await, (429, "TOO_MANY_ATTEMPTS".to_owned()));
    // Other attempts of the address are counted apart.
    assert_eq!(login(&server, "g1@example.org", PASSWORD).await.0, StatusCode::OK);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invitations_that_wait_are_bounded() {
    let installation = Installation::new().await;
    let server = installation.serve(&["--max-pending-invitations", "2"]).await;
    let admin = installation.user(&server, "admin@example.org", "admin").await;
    let invite = async |name: &str| {
        let query = format!(
            "mutation {{ inviteUser(input: {{ email: \"{name}@example.org\" }})
             {{ outcome error {{ code message }} invitation {{ id }} }} }}"
        );
        ask(&server, text(&admin, "accessToken"), &query).await.1["data"]["inviteUser"].take()
    };
    let first = invite("ada").await;
    assert_eq!((&first["outcome"], &invite("bob").await["outcome"]), (&json!("DONE"), &json!("DONE")));
    let refused = invite("eve").await;
    assert_eq!((&refused["outcome"], &refused["error"]["code"]), (&json!("REJECTED"), &json!("TOO_MANY_INVITATIONS")));
    assert!(text(&refused["error"], "message").contains("2 invitations"), "{refused}");
    assert_eq!(installation.texts("select email from apex.user_links where email like 'eve%'").await.len(), 0);
    let revoke = format!(
        "mutation {{ revokeInvitation(input: {{ id: \"{}\" }}) {{ outcome }} }}",
        text(&first["invitation"], "id")
    );
    let (_, revoked) = ask(&server, text(&admin, "accessToken"), &revoke).await;
    assert_eq!(revoked["data"]["revokeInvitation"]["outcome"], "DONE", "{revoked}");
    assert_eq!(invite("eve").await["outcome"], "DONE");
    drop(server.terminate().await);
}
