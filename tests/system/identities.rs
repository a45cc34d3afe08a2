//! Tenants, service accounts and API keys: what a key may do, that it ends in every process when it is revoked, and that
//! nothing secret leaves the file and the table it belongs in.

use crate::graphql::code;
use apex::rooms::Rooms;
use chrono::Utc;
use commands::Context;
use domain::api_key::KeyTerms;
use domain::permissions::{Role, Scopes};
use domain::tenant::{Tenant, TenantCommand};
use domain::{ApiKeyId, ServiceAccountId, TenantId};
use futures::{SinkExt, StreamExt};
use identity::{AuthenticationError, Identities, IdentityError, KeyFileError, NewKey};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use streams::{Log, LogConfig};
use testkit::{Server, TIMEOUT, TestDatabase, http_client, name, operator, principal, send_until_checked, tenant};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use uuid::Uuid;

/// A database with a file of key-encryption keys.
pub(crate) struct Installation {
    pub(crate) database: TestDatabase,
    folder: tempfile::TempDir,
    /// The addresses of the servers that were started.
    servers: Mutex<Vec<String>>,
}

impl Installation {
    pub(crate) async fn new() -> Self {
        Self::of(TestDatabase::new().await)
    }

    pub(crate) fn of(database: TestDatabase) -> Self {
        Self { database, folder: tempfile::tempdir().unwrap(), servers: Mutex::default() }
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.path().join("identity.keys")
    }

    /// Runs a subcommand that succeeds, and returns its standard output without the line break at its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let key_file = self.key_file();
        let arguments = [arguments, &["--key-file", key_file.to_str().unwrap()]].concat();
        self.database.run(&arguments).await.assert_success().stdout.trim_end().to_owned()
    }

    pub(crate) async fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_open(&[&["--token", "tea"], arguments].concat()).await
    }

    /// A server that takes clients without a credential, too, unless the arguments say otherwise.
    pub(crate) async fn serve_open(&self, arguments: &[&str]) -> Server {
        let key_file = self.key_file();
        let arguments = [&["--key-file", key_file.to_str().unwrap()], arguments].concat();
        let server = self.database.serve(&arguments).await;
        self.servers.lock().unwrap().push(server.address.clone());
        server
    }

    /// A key of a new account with a role, in a tenant, which the servers know.
    pub(crate) async fn key(&self, tenant: &str, role: &str, more: &[&str]) -> String {
        self.run(&["tenants", "create", tenant]).await;
        let account = self.run(&["accounts", "create", "importer", "--role", role, "--tenant", tenant]).await;
        let create = ["keys", "create", "--account", &account, "--tenant", tenant];
        let all: &[&str] = if more.contains(&"--scope") { &[] } else { &["--all-scopes"] };
        let key = self.run(&[&create, all, more].concat()).await;
        self.until_known(&key).await;
        key
    }

    /// Waits until the servers that run know a key, which another process created: within a second, if it is one.
    pub(crate) async fn until_known(&self, key: &str) {
        let servers = self.servers.lock().unwrap().clone();
        let deadline = Instant::now() + TIMEOUT;
        for address in servers {
            let ask = || http_client().post(format!("{address}/graphql")).bearer_auth(key);
            let is_unknown = async || {
                let asked = ask().json(&json!({ "query": "{ __typename }" })).send().await;
                // Some servers have ended.
                asked.is_ok_and(|response| {
                    [StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE].contains(&response.status())
                })
            };
            while is_unknown().await {
                assert!(Instant::now() < deadline, "the server at {address} does not know a new key");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// The credentials of a process, with the commands of an admin of the default tenant.
struct Process {
    rooms: Rooms,
    identities: Identities,
}

impl Process {
    async fn new(installation: &Installation) -> Self {
        let rooms = installation.database.rooms().await;
        let opened = Identities::open(rooms.pool.clone(), rooms.commands.clone(), installation.key_file()).await;
        Self { rooms, identities: opened.unwrap() }
    }

    fn context(&self) -> Context {
        Context::new(operator(), Uuid::now_v7())
    }

    async fn create_tenant(&self, tenant_id: TenantId) {
        let context = Context::new(operator().in_installation(), Uuid::now_v7());
        let create = TenantCommand::Create { tenant_id: tenant_id.clone(), at: Utc::now() };
        self.rooms.commands.execute::<Tenant>(&context, tenant_id.stream_id(), create).await.unwrap();
    }

    async fn create_account(&self) -> ServiceAccountId {
        self.create_tenant(tenant()).await;
        let context = self.context();
        let created = self.identities.create_account(&context, name("importer"), &[Role::Operator], Utc::now());
        created.await.unwrap().id
    }

    async fn create_key(&self, account: ServiceAccountId) -> NewKey {
        self.identities.create_key(&self.context(), terms(account), Utc::now()).await.unwrap()
    }

    async fn revoke(&self, key: ApiKeyId) {
        self.identities.revoke_key(&self.context(), key, None, Utc::now()).await.unwrap();
    }

    async fn is_accepted(&self, key: &NewKey) -> bool {
        is_accepted(&self.identities, key).await
    }
}

/// Whether a key is accepted. It is asked again while that cannot be found out in time, as on a busy machine.
async fn is_accepted(identities: &Identities, key: &NewKey) -> bool {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match identities.authenticate(key.text.reveal()).await {
            Ok(_) => return true,
            Err(AuthenticationError::Refused) => return false,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

fn terms(account: ServiceAccountId) -> KeyTerms {
    KeyTerms { service_account_id: account, scopes: Scopes::All, agent_id: None, team_id: None, expires_at: None }
}

pub(crate) async fn ask(server: &Server, key: &str, query: &str) -> (StatusCode, Value) {
    let request = http_client().post(format!("{}/graphql", server.address)).bearer_auth(key);
    let response = send_until_checked(request.json(&json!({ "query": query }))).await;
    (response.status, response.json())
}

const REGISTER: &str = "mutation { registerAgent(input: { name: \"ada\" }) { position } }";
const SKIP: &str = "mutation { resumeParkedEvent(
    input: { projection: \"calls\", position: \"3\", decision: SKIP, reason: \"x\" }) { parked } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_does_what_its_roles_and_scopes_allow() {
    let installation = Installation::new().await;
    let (tenant, none) = (tenant().to_string(), &[][..]);
    let admin = installation.key(&tenant, "admin", none).await;
    let viewer = installation.key(&tenant, "viewer", none).await;
    let scoped = installation.key(&tenant, "operator", &["--scope", "command:calls", "--scope", "command:tasks"]).await;
    let server = installation.serve(&[]).await;
    let (_, registered) = ask(&server, &admin, REGISTER).await;
    let position = registered["data"]["registerAgent"]["position"].as_str().unwrap_or_else(|| panic!("{registered}"));
    for key in [&viewer, &scoped] {
        assert_eq!(code(&ask(&server, key, REGISTER).await.1), "FORBIDDEN");
    }
    for key in [&admin, &viewer] {
        // No role of a tenant operates the installation.
        assert_eq!(code(&ask(&server, key, SKIP).await.1), "FORBIDDEN");
        assert_eq!(code(&ask(&server, key, "{ projections { name } }").await.1), "FORBIDDEN");
    }
    let agents = format!("{{ agents(minPosition: \"{position}\") {{ nodes {{ name }} }} }}");
    assert_eq!(ask(&server, &viewer, &agents).await.1["data"]["agents"]["nodes"][0]["name"], "ada");
    assert_eq!(code(&ask(&server, &scoped, &agents).await.1), "FORBIDDEN");
    // The actor is the account and the key, whatever the client declares.
    let mut owner = installation.database.owner().await;
    let actor: String =
        sqlx::query_scalar("select metadata->>'actor' from apex.events where type = 'agent.registered'")
            .fetch_one(&mut owner)
            .await
            .unwrap();
    let id = Uuid::try_parse(admin.split('_').nth(1).unwrap()).unwrap();
    assert!(actor.starts_with("service_account:") && actor.ends_with(&format!("/key:{id}")), "{actor}");
    drop(server.terminate().await);
}

/// A wrong credential gets the same answer, whatever is wrong with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_that_is_not_valid_is_refused_alike() {
    let installation = Installation::new().await;
    let process = Process::new(&installation).await;
    let account = process.create_account().await;
    let (valid, revoked, other) = (
        process.create_key(account).await.text.reveal().to_owned(),
        process.create_key(account).await,
        process.create_key(account).await.text.reveal().to_owned(),
    );
    process.revoke(revoked.id).await;
    let expiring = KeyTerms { expires_at: Some(Utc::now() + chrono::TimeDelta::milliseconds(1)), ..terms(account) };
    let at = Utc::now() - chrono::TimeDelta::seconds(1);
    let expired = process.identities.create_key(&process.context(), expiring, at).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let (id, secret) = valid.rsplit_once('_').unwrap();
    let (other_id, other_secret) = other.rsplit_once('_').unwrap();
    let wrong = [
        format!("{id}_{other_secret}"),
        format!("{other_id}_{secret}"),
        format!("{id}_{}", "0".repeat(64)),
        format!("apex_{}_{secret}", Uuid::now_v7().simple()),
        format!("{valid}0"),
        valid[..valid.len() - 1].to_owned(),
        valid.to_uppercase().replace("APEX_", "apex_"),
        "apex_".to_owned(),
        revoked.text.reveal().to_owned(),
        expired.text.reveal().to_owned(),
    ];
    // Also where a client without a credential is admitted.
    let open = installation.database.serve(&["--key-file", installation.key_file().to_str().unwrap()]).await;
    for server in [&installation.serve(&[]).await, &open] {
        assert_eq!(ask(server, &valid, "{ head }").await.0, StatusCode::OK);
        let mut answers = BTreeSet::new();
        for wrong in &wrong {
            let (status, answer) = ask(server, wrong, "{ head }").await;
            assert_eq!((status, code(&answer)), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"), "{wrong}");
            answers.insert(answer.to_string());
        }
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    process.rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_account_a_suspended_tenant_and_a_revoked_role_end_what_they_gave() {
    let installation = Installation::new().await;
    let tenant = tenant().to_string();
    installation.run(&["tenants", "create", &tenant]).await;
    let account = installation.run(&["accounts", "create", "importer", "--role", "operator"]).await;
    let key = installation.run(&["keys", "create", "--account", &account, "--all-scopes"]).await;
    let server = installation.serve(&[]).await;
    let status = async || ask(&server, &key, REGISTER).await;
    let until = async |expected: Check<'_>| {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let answer = status().await;
            if expected(&answer) {
                return;
            }
            assert!(Instant::now() < deadline, "{answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let accepted = |answer: &(StatusCode, Value)| answer.1["data"]["registerAgent"]["position"].is_string();
    let refused = |answer: &(StatusCode, Value)| answer.0 == StatusCode::UNAUTHORIZED;
    let forbidden = |answer: &(StatusCode, Value)| answer.1["errors"][0]["extensions"]["code"] == "FORBIDDEN";
    until(&accepted).await;
    for (take, ended, give) in [
        (&["accounts", "disable", &account][..], &refused as Check<'_>, &["accounts", "enable", &account][..]),
        (&["tenants", "suspend", &tenant], &refused, &["tenants", "resume", &tenant]),
        (&["accounts", "revoke", &account, "operator"], &forbidden, &["accounts", "grant", &account, "operator"]),
    ] {
        installation.run(take).await;
        until(ended).await;
        installation.run(give).await;
        until(&accepted).await;
    }
    drop(server.terminate().await);
}

/// Tokens of the settings and clients without any act in the tenant of the settings, and end with it too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_tenant_admits_neither_tokens_nor_anonymous_clients() {
    let installation = Installation::new().await;
    let id = tenant().to_string();
    let other_key = installation.key("acme", "operator", &[]).await;
    let key_file = installation.key_file();
    let open = installation.database.serve(&["--key-file", key_file.to_str().unwrap()]).await;
    let with_token = installation.serve(&["--metrics-token", "m"]).await;
    let status = async |server: &Server, token: Option<&str>| {
        let request = http_client().post(format!("{}/graphql", server.address));
        let request = token.iter().fold(request, |request, token| request.bearer_auth(token));
        request.json(&json!({ "query": "{ head }" })).send().await.unwrap().status()
    };
    let both = async |expected: StatusCode| {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let statuses = (status(&open, None).await, status(&with_token, Some("tea")).await);
            if statuses == (expected, expected) {
                return;
            }
            assert!(Instant::now() < deadline, "{statuses:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // A tenant that was never created is admitted, and so is one that exists.
    both(StatusCode::OK).await;
    installation.run(&["tenants", "create", &id]).await;
    both(StatusCode::OK).await;
    let socket = websocket(&with_token, "tea").await;
    let stream = event_stream(&with_token, "tea").await;
    installation.run(&["tenants", "suspend", &id]).await;
    both(StatusCode::UNAUTHORIZED).await;
    let ended = async { (socket.await, stream.await) };
    assert_eq!(tokio::time::timeout(TIMEOUT, ended).await.unwrap(), (4403, 0));
    // Controls: another tenant and the metrics of the installation are not affected, and a resumed tenant is admitted.
    assert_eq!(status(&open, Some(&other_key)).await, StatusCode::OK);
    let metrics = http_client().get(format!("{}/metrics", with_token.address)).bearer_auth("m");
    assert_eq!(metrics.send().await.unwrap().status(), StatusCode::OK);
    installation.run(&["tenants", "resume", &id]).await;
    both(StatusCode::OK).await;
    drop((open.terminate().await, with_token.terminate().await));
}

/// Without a required token too: what a client presents is valid, or the client is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mangled_key_never_gives_the_rights_of_a_client_without_one() {
    let installation = Installation::new().await;
    let key = installation.key("acme", "operator", &[]).await;
    let key_file = installation.key_file();
    let server = installation.database.serve(&["--key-file", key_file.to_str().unwrap()]).await;
    let status = async |value: &[u8]| {
        let value = reqwest::header::HeaderValue::from_bytes(value).unwrap();
        let request = http_client().post(format!("{}/graphql", server.address)).header("authorization", value);
        request.json(&json!({ "query": "{ head }" })).send().await.unwrap().status()
    };
    assert_eq!(status(format!("Bearer {key}").as_bytes()).await, StatusCode::OK);
    let mangled = [
        key.clone(),
        format!("Basic {key}"),
        format!("Bearer\t{key}"),
        format!("\"Bearer {key}\""),
        format!("Bearer \"{key}\""),
        format!("Bearer{key}"),
        format!("Bearer {}", key.replace("apex_", "")),
        "Bearer".to_owned(),
    ];
    for value in &mangled {
        assert_eq!(status(value.as_bytes()).await, StatusCode::UNAUTHORIZED, "{value}");
    }
    assert_eq!(status(&[b"Bearer ".as_slice(), &[0xff, 0xfe]].concat()).await, StatusCode::UNAUTHORIZED);
    // In the payload of a WebSocket, whose upgrade presents nothing.
    for value in [json!(key), json!(7), json!(["Bearer", key])] {
        assert_eq!(init(&server, json!({ "authorization": value })).await, None, "{value}");
    }
    assert!(init(&server, json!({})).await.is_some(), "a client without a credential is admitted");
    drop(server.terminate().await);
}

/// The acknowledgement of a WebSocket; none if it is closed instead.
async fn init(server: &Server, payload: Value) -> Option<String> {
    let url = format!("{}/graphql/ws", server.address.replace("http://", "ws://"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let mut socket = connect_async(request).await.unwrap().0;
    let init = json!({ "type": "connection_init", "payload": payload });
    socket.send(Message::Text(init.to_string().into())).await.unwrap();
    match socket.next().await.unwrap().unwrap() {
        Message::Text(text) => Some(text.to_string()),
        Message::Close(Some(frame)) if u16::from(frame.code) == 4403 => None,
        other => panic!("{other:?}"),
    }
}

/// Whether an answer is the expected one.
type Check<'a> = &'a dyn Fn(&(StatusCode, Value)) -> bool;

/// What of the other tenant an answer must not have.
const CANARY: &str = "canary-7f3a";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_one_tenant_sees_nothing_of_another() {
    let installation = Installation::new().await;
    let own = installation.key(tenant().as_str(), "admin", &[]).await;
    let foreign = installation.key("acme", "admin", &[]).await;
    let server = installation.serve(&[]).await;
    let id = Uuid::now_v7();
    let register = format!(
        "mutation {{ registerAgent(input: {{ id: \"{id}\", name: \"{CANARY}\" }}) {{ position agent {{ id }} }} }}"
    );
    let (_, registered) = ask(&server, &own, &register).await;
    let registered = &registered["data"]["registerAgent"];
    let position = registered["position"].as_str().unwrap_or_else(|| panic!("{registered}"));
    let node = registered["agent"]["id"].as_str().unwrap();
    let queries = [
        format!("{{ agents(minPosition: \"{position}\") {{ nodes {{ id name }} }} }}"),
        format!("{{ agent(id: \"{id}\", minPosition: \"{position}\") {{ id name }} }}"),
        format!("{{ agent(id: \"{id}\", asOf: {{ position: \"{position}\" }}) {{ id name }} }}"),
        format!("{{ node(id: \"{node}\") {{ id ... on Agent {{ name }} }} }}"),
        "{ events(last: 50) { nodes { type payload } } }".to_owned(),
        format!("{{ events(filter: {{ streamId: \"{id}\" }}) {{ nodes {{ type payload }} }} }}"),
        format!("{{ streamEvents(category: \"agent\", id: \"{id}\") {{ nodes {{ type payload }} }} }}"),
    ];
    for query in &queries {
        let (_, answer) = ask(&server, &foreign, query).await;
        assert!(!answer.to_string().contains(CANARY), "{query}: {answer}");
        // Control: the owner is shown it.
        let (_, answer) = ask(&server, &own, query).await;
        assert!(answer.to_string().contains(CANARY), "{query}: {answer}");
    }
    // Nor does it change anything there: the same id is another agent, which does not exist.
    let retire = format!("mutation {{ retireAgent(input: {{ id: \"{id}\" }}) {{ position error {{ code }} }} }}");
    let (_, answer) = ask(&server, &foreign, &retire).await;
    let retired = |tenant: &'static str| {
        sqlx::query_scalar::<_, i64>(
            "select count(*) from apex.events where type = 'agent.retired' and tenant_id = $1 and stream_id = $2",
        )
        .bind(tenant)
        .bind(id)
        .fetch_one(&installation.database.pool)
    };
    let own_tenant = "default";
    assert_eq!(tenant().as_str(), own_tenant);
    assert_eq!((retired("acme").await.unwrap(), retired(own_tenant).await.unwrap()), (0, 0), "{answer}");
    let (_, answer) = ask(&server, &own, &retire).await;
    assert_eq!((retired("acme").await.unwrap(), retired(own_tenant).await.unwrap()), (0, 1), "{answer}");
    // A new tenant has the shipped prices, as the first one has.
    let priced: i64 =
        sqlx::query_scalar("select count(*) from apex.events where tenant_id = 'acme' and type = 'prices.set'")
            .fetch_one(&installation.database.pool)
            .await
            .unwrap();
    assert!(priced > 0);
    // The accounts and keys of a tenant are its own too.
    let listed = installation.run(&["keys", "list", "--tenant", "acme", "--format", "json"]).await;
    let id_of = |key: &str| Uuid::try_parse(key.split('_').nth(1).unwrap()).unwrap().to_string();
    assert!(listed.contains(&id_of(&foreign)) && !listed.contains(&id_of(&own)), "{listed}");
    drop(server.terminate().await);
}

/// A connection that waits until the server ends it.
pub(crate) async fn websocket(server: &Server, key: &str) -> impl Future<Output = u16> + use<> {
    let url = format!("{}/graphql/ws", server.address.replace("http://", "ws://"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let mut socket = connect_async(request).await.unwrap().0;
    let init = json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {key}") } });
    socket.send(Message::Text(init.to_string().into())).await.unwrap();
    let acknowledged = socket.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(acknowledged.contains("connection_ack"), "{acknowledged}");
    let subscribe =
        json!({ "type": "subscribe", "id": "a", "payload": { "query": "subscription { events { position } }" } });
    socket.send(Message::Text(subscribe.to_string().into())).await.unwrap();
    // In a task, so that heartbeats are answered however late its end is waited for. It ends with what waits for it.
    let mut reading = tokio::task::JoinSet::new();
    reading.spawn(async move {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    });
    async move { reading.join_next().await.unwrap().unwrap() }
}

/// An event stream that waits until the server ends it.
pub(crate) async fn event_stream(server: &Server, key: &str) -> impl Future<Output = u16> + use<> {
    let request = http_client().get(format!("{}/events", server.address)).bearer_auth(key);
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    async move {
        while response.chunk().await.unwrap().is_some() {}
        0
    }
}

/// A client that sends one request after the other on a connection until one is refused.
async fn requests(server: &Server, key: &str) -> impl Future<Output = u16> + use<> {
    let (client, url, key) = (reqwest::Client::new(), format!("{}/graphql", server.address), key.to_owned());
    let send = async move || {
        let request = client.post(&url).bearer_auth(&key).json(&json!({ "query": "{ head }" }));
        request.send().await.unwrap().status()
    };
    assert_eq!(send().await, StatusCode::OK);
    async move {
        loop {
            match send().await {
                // And one that could not be checked in time.
                StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                status => return status.as_u16(),
            }
        }
    }
}

/// What must end within a second may take ten of them here, and some of it longer: other tests run at the same time. The figures
/// are printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_ends_everywhere_within_a_second() {
    let installation = Installation::new().await;
    let process = Process::new(&installation).await;
    let account = process.create_account().await;
    let (revoked, kept) = (process.create_key(account).await, process.create_key(account).await);
    let servers = [installation.serve(&[]).await, installation.serve(&[]).await];
    let mut ends = tokio::task::JoinSet::new();
    let mut others = tokio::task::JoinSet::new();
    // 50 connections with one request after the other, and 10 of each kind of subscription.
    for server in &servers {
        for _ in 0..25 {
            ends.spawn(timed(requests(server, revoked.text.reveal()).await));
        }
        for _ in 0..5 {
            ends.spawn(timed(websocket(server, revoked.text.reveal()).await));
            ends.spawn(timed(event_stream(server, revoked.text.reveal()).await));
        }
        others.spawn(websocket(server, kept.text.reveal()).await);
        others.spawn(event_stream(server, kept.text.reveal()).await);
        others.spawn(requests(server, kept.text.reveal()).await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(ends.try_join_next().is_none(), "a connection ended before the key was revoked");
    process.revoke(revoked.id).await;
    let revoked_at = Instant::now();
    let (mut results, mut times) = (std::collections::BTreeMap::new(), Vec::new());
    while let Some(end) = tokio::time::timeout(TIMEOUT, ends.join_next()).await.unwrap() {
        let (end, at) = end.unwrap();
        *results.entry(end).or_insert(0) += 1;
        times.push(at.saturating_duration_since(revoked_at));
    }
    assert_eq!(results, [(0, 10), (401, 50), (4403, 10)].into());
    times.sort_unstable();
    let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{} uses of a revoked key ended: half of them after {median:?}, the last one after {last:?}", times.len());
    assert!(median < Duration::from_secs(10), "{median:?}");
    // Control: the other key of the account is not affected.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(others.try_join_next().is_none(), "a connection of another key ended");
    others.abort_all();
    for server in servers {
        drop(server.terminate().await);
    }
    process.rooms.close().await.unwrap();
}

/// What a use of a key ended with, and when.
async fn timed(end: impl Future<Output = u16>) -> (u16, Instant) {
    (end.await, Instant::now())
}

/// A process whose tail does not read asks the database once what it knows is a second old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_with_an_outdated_tail_asks_the_database_or_admits_nobody() {
    let installation = Installation::new().await;
    let process = Process::new(&installation).await;
    let account = process.create_account().await;
    let (key, kept) = (process.create_key(account).await, process.create_key(account).await);
    // Its tail does not run.
    let open = async || {
        let pool = sqlx::PgPool::connect(&installation.database.url).await.unwrap();
        let log = Log::open(pool.clone(), LogConfig::default()).await.unwrap();
        let commands = commands::Commands::new(log, commands::CommandsConfig::default());
        let opened = Identities::open(pool.clone(), commands, installation.key_file()).await;
        (pool, opened.unwrap())
    };
    let (pool, stale) = open().await;
    assert!(is_accepted(&stale, &key).await);
    process.revoke(key.id).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(!is_accepted(&stale, &key).await && is_accepted(&stale, &kept).await);
    pool.close().await;
    // What is known is good for a second without the database: the hash of the key is in memory. On a busy machine that second
    // may be over before the key is presented again.
    let mut trials = 0;
    let (stale, principal) = loop {
        let opened_at = Instant::now();
        let (pool, opened) = open().await;
        assert!(is_accepted(&opened, &kept).await);
        pool.close().await;
        match opened.authenticate(kept.text.reveal()).await {
            Ok(principal) => break (opened, principal),
            Err(error) => assert!(opened_at.elapsed() > Duration::from_secs(1), "{error}"),
        }
        trials += 1;
        assert!(trials < 50, "no key was presented in time");
    };
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(matches!(stale.authenticate(kept.text.reveal()).await, Err(AuthenticationError::Unavailable(_))));
    assert!(matches!(stale.check_not_suspended(&tenant()).await, Err(AuthenticationError::Unavailable(_))));
    // An open connection is told that it cannot be known, not that its credential ended.
    let following = tokio::spawn(stale.clone().run(std::future::pending()));
    let ended = tokio::time::timeout(TIMEOUT, stale.ended(&principal)).await.unwrap();
    assert_eq!(ended, identity::EndReason::Unavailable);
    following.abort();
    process.rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_key_is_accepted_until_the_overlap_ends() {
    let installation = Installation::new().await;
    let process = Process::new(&installation).await;
    let account = process.create_account().await;
    let mut old = process.create_key(account).await;
    let overlap = chrono::TimeDelta::seconds(2);
    // An overlap that no time has is refused before a secret is stored.
    for too_long in [chrono::TimeDelta::MAX, chrono::TimeDelta::days(300 * 365)] {
        let context = process.context();
        let refused = process.identities.rotate_key(&context, old.id, too_long, None, Utc::now()).await;
        assert!(matches!(refused, Err(IdentityError::TooLate { .. })), "{refused:?}");
        assert_eq!(secrets(&installation).await, 1);
    }
    // On a busy machine, the overlap may end before the old key is presented. Then the new one is rotated.
    let mut rotations = 0;
    let new = loop {
        let (context, rotated_at) = (process.context(), Utc::now());
        let rotated = process.identities.rotate_key(&context, old.id, overlap, None, rotated_at);
        let new = rotated.await.unwrap();
        if process.is_accepted(&old).await {
            break new;
        }
        assert!(Utc::now() - rotated_at >= overlap, "a key that was rotated is refused before its overlap ends");
        rotations += 1;
        assert!(rotations < 20, "no key was presented in its overlap");
        old = new;
    };
    assert!(process.is_accepted(&new).await);
    tokio::time::sleep(overlap.to_std().unwrap()).await;
    assert!(!process.is_accepted(&old).await && process.is_accepted(&new).await);
    process.rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_creation_creates_no_second_key() {
    let installation = Installation::new().await;
    let process = Process::new(&installation).await;
    let account = process.create_account().await;
    let context = process.context();
    let key = process.identities.create_key(&context, terms(account), Utc::now()).await.unwrap();
    let again = process.identities.create_key(&context, terms(account), Utc::now()).await;
    assert!(matches!(again, Err(IdentityError::AlreadyCreated(id)) if id == key.id), "{again:?}");
    assert!(process.is_accepted(&key).await);
    process.revoke(key.id).await;
    let again = process.identities.create_key(&context, terms(account), Utc::now()).await;
    assert!(matches!(again, Err(IdentityError::AlreadyCreated(id)) if id == key.id), "{again:?}");
    assert_eq!(secrets(&installation).await, 0);
    process.rooms.close().await.unwrap();
}

/// The number of rows of secrets.
async fn secrets(installation: &Installation) -> i64 {
    sqlx::query_scalar("select count(*) from apex.api_key_secrets")
        .fetch_one(&installation.database.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_admin_of_the_tenant_gives_and_takes() {
    let installation = Installation::new().await;
    let process = Process::new(&installation).await;
    let account = process.create_account().await;
    let key = process.create_key(account).await;
    let rights = |roles: &[Role]| Context::new(testkit::with_roles(tenant(), "ada", roles.to_vec()), Uuid::now_v7());
    let of_others: Vec<_> = Role::ALL.into_iter().filter(|role| *role != Role::Admin).collect();
    let foreign = Context::new(principal("acme".parse().unwrap(), "eve"), Uuid::now_v7());
    process.create_tenant("acme".parse().unwrap()).await;
    let rows = secrets(&installation).await;
    let head = process.rooms.log.head().await.unwrap();
    let holder = domain::role_assignment::Holder::ServiceAccount(account);
    let admin = domain::role_assignment::AssignedRole::BuiltIn(Role::Admin);
    let assignment = domain::role_assignment::Assignment::on_tenant(holder, admin);
    for context in [rights(&of_others), foreign] {
        let created = process.identities.create_key(&context, terms(account), Utc::now()).await;
        assert!(created.is_err());
        assert!(process.identities.grant_role(&context, assignment, Utc::now()).await.is_err());
        assert!(process.identities.revoke_key(&context, key.id, None, Utc::now()).await.is_err());
        let rotated = process.identities.rotate_key(&context, key.id, chrono::TimeDelta::days(1), None, Utc::now());
        assert!(rotated.await.is_err());
    }
    let created = process.identities.create_account(&rights(&of_others), name("x"), &[Role::Admin], Utc::now()).await;
    assert!(matches!(created, Err(IdentityError::Forbidden(_))), "{created:?}");
    assert_eq!(process.rooms.log.head().await.unwrap(), head, "something was written");
    assert_eq!(secrets(&installation).await, rows, "a secret is left behind");
    assert!(process.is_accepted(&key).await);
    process.rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_created_only_for_active_accounts_of_active_tenants() {
    let installation = Installation::new().await;
    let process = Process::new(&installation).await;
    let create = async |account| {
        process.identities.create_key(&process.context(), terms(account), Utc::now()).await.unwrap_err()
    };
    let account = ServiceAccountId(Uuid::now_v7());
    assert!(matches!(create(account).await, IdentityError::TenantNotActive(_)));
    process.create_tenant(tenant()).await;
    let refused = create(account).await;
    assert!(refused.to_string().contains("does not exist or is disabled"), "{refused}");
    assert_eq!(secrets(&installation).await, 0);
    process.rooms.close().await.unwrap();
}

/// A row whose event was never written authenticates nobody, and is deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_without_an_event_is_of_no_use_and_is_swept() {
    let installation = Installation::new().await;
    let process = Process::new(&installation).await;
    let key = process.create_key(process.create_account().await).await;
    let mut owner = installation.database.owner().await;
    // The same secret under another id, and the row of a key whose process died before it was confirmed.
    let orphan = Uuid::now_v7();
    sqlx::query(
        "insert into apex.api_key_secrets (key_id, tenant_id, key_encryption_key, hash, created_at)
         select $1, tenant_id, key_encryption_key, hash, now() - interval '2 hours' from apex.api_key_secrets",
    )
    .bind(orphan)
    .execute(&mut owner)
    .await
    .unwrap();
    sqlx::query("update apex.api_key_secrets set is_confirmed = false, created_at = now() - interval '2 hours'")
        .execute(&mut owner)
        .await
        .unwrap();
    let (_, secret) = key.text.reveal().rsplit_once('_').unwrap();
    let text = format!("apex_{}_{secret}", orphan.simple());
    assert!(matches!(process.identities.authenticate(&text).await, Err(AuthenticationError::Refused)));
    let server = installation.serve(&[]).await;
    let deadline = Instant::now() + TIMEOUT;
    while secrets(&installation).await > 1 {
        assert!(Instant::now() < deadline, "the row was not swept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask(&server, key.text.reveal(), "{ head }").await.0, StatusCode::OK);
    drop(server.terminate().await);
    process.rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_file_is_reported_and_admits_nobody() {
    let installation = Installation::new().await;
    let process = Process::new(&installation).await;
    let account = process.create_account().await;
    let key = process.create_key(account).await;
    let with = async |file: &Path| {
        let opened = Identities::open(process.rooms.pool.clone(), process.rooms.commands.clone(), file.to_owned());
        opened.await.unwrap()
    };
    let missing = installation.folder.path().join("missing.keys");
    let other = Installation::new().await;
    let other_process = Process::new(&other).await;
    other_process.create_key(other_process.create_account().await).await;
    for (file, is_missing) in [(missing.clone(), true), (other.key_file(), false)] {
        let identities = with(&file).await;
        let checked = identities.prepare_key_file().await;
        assert!(matches!(checked, Err(IdentityError::KeyFile(_))), "{checked:?}");
        let refused = identities.authenticate(key.text.reveal()).await;
        assert!(matches!(refused, Err(AuthenticationError::Unavailable(_))), "{refused:?}");
        let refused = identities.create_key(&process.context(), terms(account), Utc::now()).await.unwrap_err();
        match refused {
            IdentityError::KeyFile(KeyFileError::Missing(_)) => assert!(is_missing),
            IdentityError::KeyFile(KeyFileError::OtherKey { version: 1, .. }) => assert!(!is_missing),
            other => panic!("{other:?}"),
        }
    }
    assert!(!missing.exists(), "a second key was created");
    assert!(key.created_key_file.is_some() && process.create_key(account).await.created_key_file.is_none());
    process.identities.prepare_key_file().await.unwrap();
    // Over HTTP it is not said that the key is wrong.
    let arguments = ["--token", "tea", "--key-file", missing.to_str().unwrap()];
    let server = installation.database.serve(&arguments).await;
    let (status, answer) = ask(&server, key.text.reveal(), "{ head }").await;
    assert_eq!((status, code(&answer)), (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"));
    drop(server.terminate().await);
    process.rooms.close().await.unwrap();
    other_process.rooms.close().await.unwrap();
}

/// A server that cannot read the events that granted something starts, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_grants_are_unavailable_unless_the_archive_can_be_read() {
    let fixture = crate::archive::Fixture::new().await;
    let key_file = fixture.folder.path().join("identity.keys");
    // Without the command line, which would write the prices that every server needs into the archived part of the log.
    let rooms = fixture.database.rooms().await;
    let opened = Identities::open(rooms.pool.clone(), rooms.commands.clone(), key_file.clone()).await;
    let process = Process { rooms, identities: opened.unwrap() };
    let key = process.create_key(process.create_account().await).await.text.reveal().to_owned();
    let head = loop {
        let head = process.rooms.log.head().await.unwrap().get();
        if head > 360 {
            break head;
        }
        process.rooms.log.append(crate::partitions::of_category("agent", 20)).await.unwrap();
    };
    process.rooms.close().await.unwrap();
    fixture.set_all_checkpoints(i64::try_from(head).unwrap()).await;
    fixture.archive("351").await.assert_success();
    let key_file = key_file.to_str().unwrap();
    let status = async |more: &[&str]| {
        let server = fixture.database.serve(&[&["--token", "tea", "--key-file", key_file], more].concat()).await;
        let (status, _) = ask(&server, &key, "{ head }").await;
        drop(server.terminate().await);
        status
    };
    assert_eq!(status(&[]).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status(&["--archive", fixture.path()]).await, StatusCode::OK);
}

/// Everything that is stored, and everything that is logged at the finest level, without the secret of a key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_neither_stored_nor_logged() {
    let installation = Installation::new().await;
    let key = installation.key(tenant().as_str(), "operator", &[]).await;
    let server = installation.serve(&["--log", "trace"]).await;
    assert_eq!(ask(&server, &key, REGISTER).await.0, StatusCode::OK);
    // A key that is created over the API, and the one that replaces it, are in the response alone.
    let admin = installation.key(tenant().as_str(), "admin", &[]).await;
    let [created, rotated] = created_and_rotated(&server, &admin).await;
    for key in [&created, &rotated] {
        assert_eq!(ask(&server, key, "{ head }").await.0, StatusCode::OK);
    }
    let secrets = [&key, &admin, &created, &rotated].map(|key| key.rsplit_once('_').unwrap().1.to_owned());
    assert_eq!(BTreeSet::from(secrets.clone()).len(), 4);
    assert_eq!(ask(&server, &format!("{key}0"), REGISTER).await.0, StatusCode::UNAUTHORIZED);
    // The first message of a WebSocket has the key too.
    drop(websocket(&server, &key).await);
    let (_, logged) = server.terminate().await;
    assert!(logged.len() > 1000, "nothing was logged");
    for secret in &secrets {
        assert!(!logged.contains(secret), "a secret is in the log output");
    }
    let mut owner = installation.database.owner().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(tables.iter().any(|table| table == "apex.api_key_secrets") && tables.len() > 20, "{tables:?}");
    let has = async |owner: &mut sqlx::PgConnection, table: &str, text: &str| -> bool {
        let found = format!("select exists (select from {table} t where strpos(lower(t::text), $1) > 0)");
        sqlx::query_scalar(sqlx::AssertSqlSafe(found)).bind(text).fetch_one(owner).await.unwrap()
    };
    let id = Uuid::try_parse(key.split('_').nth(1).unwrap()).unwrap().to_string();
    let mut with_id = 0;
    for table in &tables {
        for secret in &secrets {
            assert!(!has(&mut owner, table, secret).await, "a secret is in {table}");
        }
        with_id += usize::from(has(&mut owner, table, &id).await);
    }
    // Control: the id is found, in events and beside them.
    assert!(with_id >= 2);
}

const CREATE_KEY: &str = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) {
    outcome position secret error { code field } apiKey { id uuid agentId revoked scopes { all only } } } }";

pub(crate) async fn send(server: &Server, key: &str, query: &str, input: Value) -> Value {
    let request = http_client().post(format!("{}/graphql", server.address)).bearer_auth(key);
    let body = json!({ "query": query, "variables": { "input": input } });
    send_until_checked(request.json(&body)).await.json()
}

async fn new_account(server: &Server, admin: &str, role: &str) -> String {
    let create = "mutation($input: CreateServiceAccountInput!) { createServiceAccount(input: $input) {
        outcome serviceAccount { id name roles disabled } error { code message } } }";
    let answer = send(server, admin, create, json!({ "name": "importer", "roles": [role] })).await;
    let created = &answer["data"]["createServiceAccount"];
    assert_eq!(
        (&created["outcome"], &created["serviceAccount"]["roles"]),
        (&json!("DONE"), &json!([role])),
        "{answer}"
    );
    created["serviceAccount"]["id"].as_str().unwrap().to_owned()
}

pub(crate) fn secret_of(answer: &Value, mutation: &str) -> String {
    answer["data"][mutation]["secret"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The texts of a key that is created over the API, and of the one that replaces it.
async fn created_and_rotated(server: &Server, admin: &str) -> [String; 2] {
    let account = new_account(server, admin, "OPERATOR").await;
    let input = json!({ "serviceAccountId": account, "scopes": { "all": true }, "lifetime": { "neverExpires": true } });
    let created = send(server, admin, CREATE_KEY, input).await;
    let rotate = "mutation($input: RotateApiKeyInput!) { rotateApiKey(input: $input) { secret error { code } } }";
    let id = &created["data"]["createApiKey"]["apiKey"]["id"];
    let rotated = send(server, admin, rotate, json!({ "id": id, "lifetime": { "neverExpires": true } })).await;
    [secret_of(&created, "createApiKey"), secret_of(&rotated, "rotateApiKey")]
}

/// The input of `createApiKey`.
fn key_input(account: &str, command_id: Uuid, scopes: Value, lifetime: Value) -> Value {
    json!({ "serviceAccountId": account, "scopes": scopes, "lifetime": lifetime, "commandId": command_id })
}

/// What is not stated is never taken for everything, and nothing is created by a command that is rejected.
async fn check_refusals(server: &Server, admin: &str, account: &str, command_id: Uuid) {
    let with = |scopes, lifetime| key_input(account, command_id, scopes, lifetime);
    let forever = || json!({ "neverExpires": true });
    for (input, refusal) in [
        (with(json!({ "only": [] }), forever()), "NO_SCOPES"),
        (with(json!({ "only": ["all"] }), forever()), "INVALID_INPUT"),
        (with(json!({ "all": false }), forever()), "INVALID_INPUT"),
        (with(json!({ "only": ["run:installation"] }), forever()), "SCOPE_OUTSIDE_TENANT"),
        (with(json!({ "all": true }), json!({ "neverExpires": false })), "INVALID_INPUT"),
        (with(json!({ "all": true }), json!({ "expiresAt": "2023-11-14T22:00:00Z" })), "EXPIRES_TOO_SOON"),
    ] {
        let answer = send(server, admin, CREATE_KEY, input).await;
        let payload = &answer["data"]["createApiKey"];
        assert_eq!((&payload["error"]["code"], &payload["secret"]), (&json!(refusal), &Value::Null), "{answer}");
    }
}

/// Lists, page by page, have both keys and never a secret.
async fn check_lists(server: &Server, admin: &str, secret: &str) {
    let list = "{ apiKeys(first: 1) { pageInfo { hasNextPage endCursor } nodes { uuid } } }";
    let first = ask(server, admin, list).await.1;
    assert_eq!(first["data"]["apiKeys"]["pageInfo"]["hasNextPage"], true, "{first}");
    let cursor = first["data"]["apiKeys"]["pageInfo"]["endCursor"].as_str().unwrap();
    let second = list.replace("first: 1", &format!("first: 1, after: \"{cursor}\""));
    let second = ask(server, admin, &second).await.1;
    assert_ne!(first["data"]["apiKeys"]["nodes"], second["data"]["apiKeys"]["nodes"]);
    assert_eq!(second["data"]["apiKeys"]["pageInfo"]["hasNextPage"], false, "{second}");
    let accounts = "{ serviceAccounts { nodes { id name roles apiKeys { nodes { uuid revoked lastUsedHour } } } } }";
    let accounts = ask(server, admin, accounts).await.1;
    assert_eq!(accounts["data"]["serviceAccounts"]["nodes"].as_array().unwrap().len(), 2, "{accounts}");
    assert!(!accounts.to_string().contains(secret.rsplit_once('_').unwrap().1));
}

const ROTATE_KEY: &str = "mutation($input: RotateApiKeyInput!) { rotateApiKey(input: $input) {
    secret error { code } apiKey { id scopes { only } } } }";
const REVOKE_KEY: &str = "mutation($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) {
    outcome error { code } apiKey { revoked } } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_managed_over_graphql() {
    let installation = Installation::new().await;
    let admin = installation.key(tenant().as_str(), "admin", &[]).await;
    let server = installation.serve(&[]).await;
    let (account, command_id) = (new_account(&server, &admin, "OPERATOR").await, Uuid::now_v7());
    check_refusals(&server, &admin, &account, command_id).await;
    let rows = secrets(&installation).await;
    let input = key_input(&account, command_id, json!({ "only": ["command:agents"] }), json!({ "neverExpires": true }));
    let answer = send(&server, &admin, CREATE_KEY, input.clone()).await;
    let (secret, created) = (secret_of(&answer, "createApiKey"), &answer["data"]["createApiKey"]);
    assert_eq!(created["apiKey"]["scopes"], json!({ "all": false, "only": ["command:agents"] }));
    assert!(ask(&server, &secret, REGISTER).await.1["data"]["registerAgent"]["position"].is_string());
    // A retry returns no secret, and creates nothing.
    let again = send(&server, &admin, CREATE_KEY, input).await;
    let payload = &again["data"]["createApiKey"];
    assert_eq!((&payload["error"]["code"], &payload["secret"]), (&json!("SECRET_ALREADY_SHOWN"), &Value::Null));
    assert_eq!(secrets(&installation).await, rows + 1);
    check_lists(&server, &admin, &secret).await;
    let id = created["apiKey"]["id"].as_str().unwrap().to_owned();
    let node = format!("{{ node(id: \"{id}\") {{ ... on ApiKey {{ uuid }} }} }}");
    assert_eq!(ask(&server, &admin, &node).await.1["data"]["node"]["uuid"], created["apiKey"]["uuid"]);
    // Rotated without an overlap: the old one is refused, the new one has the same scopes.
    let input = json!({ "id": id, "overlapSeconds": 0, "lifetime": { "neverExpires": true } });
    let rotated = send(&server, &admin, ROTATE_KEY, input).await;
    let successor = secret_of(&rotated, "rotateApiKey");
    assert_eq!(rotated["data"]["rotateApiKey"]["apiKey"]["scopes"]["only"], json!(["command:agents"]));
    assert_eq!(ask(&server, &secret, REGISTER).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&server, &successor, REGISTER).await.0, StatusCode::OK);
    let id = &rotated["data"]["rotateApiKey"]["apiKey"]["id"];
    let revoked = send(&server, &admin, REVOKE_KEY, json!({ "id": id, "reason": "leaked" })).await;
    assert_eq!(revoked["data"]["revokeApiKey"]["apiKey"]["revoked"], true, "{revoked}");
    assert_eq!(ask(&server, &successor, REGISTER).await.0, StatusCode::UNAUTHORIZED);
    let again = send(&server, &admin, REVOKE_KEY, json!({ "id": id })).await;
    assert_eq!(again["data"]["revokeApiKey"]["outcome"], "ALREADY_DONE", "{again}");
    // An admin of another tenant neither sees nor changes any of it.
    let foreign = installation.key("acme", "admin", &[]).await;
    assert_eq!(ask(&server, &foreign, &node).await.1["data"]["node"], Value::Null);
    let refused = send(&server, &foreign, REVOKE_KEY, json!({ "id": id })).await;
    assert_eq!(refused["data"]["revokeApiKey"]["error"]["code"], "NOT_CREATED", "{refused}");
    drop(server.terminate().await);
}

/// An active agent with a task, a private memory and a shared one.
pub(crate) struct Possessions {
    pub(crate) agent: Uuid,
    pub(crate) task: Uuid,
    pub(crate) private: Uuid,
    pub(crate) shared: Uuid,
}

impl Possessions {
    /// Creates them. Returns the last position, too.
    pub(crate) async fn create(server: &Server, admin: &str) -> (Self, String) {
        let [agent, task, private, shared] = [(); 4].map(|()| Uuid::now_v7());
        let memory = |id| {
            format!("storeMemory(input: {{ id: \"{id}\", agentId: \"{agent}\", content: \"tea\" }}) {{ position }}")
        };
        let query = format!(
            "mutation {{ a: registerAgent(input: {{ id: \"{agent}\", name: \"ada\" }}) {{ position }}
             b: activateAgent(input: {{ id: \"{agent}\" }}) {{ position }}
             c: submitTask(input: {{ id: \"{task}\", agentId: \"{agent}\", title: \"t\" }}) {{ position }}
             d: {} e: {} f: shareMemory(input: {{ id: \"{shared}\", realm: VILLAGE }}) {{ position }} }}",
            memory(private),
            memory(shared)
        );
        let answer = ask(server, admin, &query).await.1;
        let position = answer["data"]["f"]["position"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        (Self { agent, task, private, shared }, position)
    }
}

pub(crate) fn uuids(answer: &Value, list: &str) -> BTreeSet<String> {
    let nodes = answer["data"][list]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
    nodes.iter().map(|node| node["uuid"].as_str().unwrap().to_owned()).collect()
}

/// Reads lists, and objects by id: as they are now, and as they were.
async fn check_bound_reads(server: &Server, keys: [&str; 3], own: &Possessions, other: &Possessions, position: &str) {
    let [admin, bound, unbound] = keys;
    let set = |ids: &[Uuid]| ids.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let list = |name: &str| format!("{name}(minPosition: \"{position}\") {{ nodes {{ uuid }} }}");
    let lists = format!("{{ {} {} {} budgets {{ nodes {{ id }} }} }}", list("agents"), list("tasks"), list("memories"));
    let answer = ask(server, bound, &lists).await.1;
    assert_eq!(uuids(&answer, "agents"), set(&[own.agent]), "{answer}");
    assert_eq!(uuids(&answer, "tasks"), set(&[own.task]));
    assert_eq!(uuids(&answer, "memories"), set(&[own.private, own.shared, other.shared]));
    // Controls: another role sees all of it, and an agent without a bound key none.
    let answer = ask(server, admin, &lists).await.1;
    assert_eq!((uuids(&answer, "tasks").len(), uuids(&answer, "memories").len()), (2, 4));
    let answer = ask(server, unbound, "{ tasks { nodes { uuid } } }").await.1;
    assert!(answer.to_string().contains("use an API key that is bound to an agent"), "{answer}");
    for (kind, id, is_seen) in [
        ("agent", own.agent, true),
        ("agent", other.agent, false),
        ("task", own.task, true),
        ("task", other.task, false),
        ("memory", own.private, true),
        ("memory", other.private, false),
        ("memory", other.shared, true),
    ] {
        let as_of = format!("asOf: {{ position: \"{position}\" }}");
        let query =
            format!("{{ now: {kind}(id: \"{id}\") {{ uuid }} then: {kind}(id: \"{id}\", {as_of}) {{ uuid }} }}");
        let answer = ask(server, bound, &query).await.1;
        for field in ["now", "then"] {
            assert_eq!(answer["data"][field]["uuid"].is_string(), is_seen, "{kind} {field}: {answer}");
        }
    }
    for refused in ["events { nodes { id } }", "usageReport { nodes { __typename } }", "calls { nodes { id } }"] {
        assert_eq!(code(&ask(server, bound, &format!("{{ {refused} }}")).await.1), "FORBIDDEN", "{refused}");
    }
}

/// A key that is bound to an agent reaches what belongs to the agent and what is shared with it, and nothing of others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_key_reaches_only_what_belongs_to_its_agent() {
    let installation = Installation::new().await;
    let admin = installation.key(tenant().as_str(), "admin", &[]).await;
    let server = installation.serve(&[]).await;
    let (own, _) = Possessions::create(&server, &admin).await;
    let (other, position) = Possessions::create(&server, &admin).await;
    let bound = installation.key(tenant().as_str(), "agent", &["--agent", &own.agent.to_string()]).await;
    let unbound = installation.key(tenant().as_str(), "agent", &[]).await;
    check_bound_reads(&server, [&admin, &bound, &unbound], &own, &other, &position).await;
    // It gives commands in the name of its agent only.
    let start = |task: Uuid| format!("mutation {{ startTask(input: {{ id: \"{task}\" }}) {{ outcome }} }}");
    let store = |agent: Uuid| {
        format!("mutation {{ storeMemory(input: {{ agentId: \"{agent}\", content: \"x\" }}) {{ outcome }} }}")
    };
    let recall = |memory: Uuid, agent: Uuid| {
        format!("mutation {{ recallMemory(input: {{ id: \"{memory}\", agentId: \"{agent}\" }}) {{ outcome }} }}")
    };
    // Refusals are noted in the access log, at a time of their own.
    let written = "select count(*) from apex.events where category <> 'access_log'";
    let mut owner = installation.database.owner().await;
    let before: i64 = sqlx::query_scalar(written).fetch_one(&mut owner).await.unwrap();
    for refused in [start(other.task), store(other.agent), recall(own.shared, other.agent)] {
        assert_eq!(code(&ask(&server, &bound, &refused).await.1), "FORBIDDEN", "{refused}");
    }
    let after: i64 = sqlx::query_scalar(written).fetch_one(&mut owner).await.unwrap();
    assert_eq!(after, before, "something was written");
    for done in [start(own.task), store(own.agent), recall(other.shared, own.agent)] {
        let answer = ask(&server, &bound, &done).await.1;
        assert!(answer.to_string().contains("DONE"), "{done}: {answer}");
    }
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_file_is_created_at_the_first_start_of_an_installation() {
    use std::os::unix::fs::PermissionsExt as _;
    let installation = Installation::new().await;
    let file = installation.key_file();
    assert!(!file.exists());
    let server = installation.serve(&[]).await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(text.lines().any(|line| line.starts_with("1 ")), "it has no version");
    // A process on another host does not create a second one: it says where to get the first one.
    let elsewhere = installation.folder.path().join("other-host/identity.keys");
    let arguments = ["--log", "warn", "--token", "tea", "--key-file", elsewhere.to_str().unwrap()];
    let other = installation.database.serve(&arguments).await;
    let (_, logged) = other.terminate().await;
    assert!(!elsewhere.exists(), "a second file was created");
    assert!(logged.contains("copy that file from another process of the installation"), "{logged}");
    // The first key is made with that file, and the file stays as it is.
    let key = installation.key(tenant().as_str(), "operator", &[]).await;
    assert_eq!(ask(&server, &key, REGISTER).await.0, StatusCode::OK);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    drop(server.terminate().await);
}

/// A new version of the key-encryption key has to be in the file of every process before keys are created under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_the_version_of_a_key_says_which_one_it_lacks() {
    let installation = Installation::new().await;
    let process = Process::new(&installation).await;
    let account = process.create_account().await;
    let before = process.create_key(account).await;
    let copy = installation.folder.path().join("copy.keys");
    std::fs::copy(installation.key_file(), &copy).unwrap();
    let second = format!("{}2 {}\n", std::fs::read_to_string(installation.key_file()).unwrap(), "ab".repeat(32));
    std::fs::write(installation.key_file(), second).unwrap();
    let after = process.create_key(account).await;
    let opened = Identities::open(process.rooms.pool.clone(), process.rooms.commands.clone(), copy.clone()).await;
    let outdated = opened.unwrap();
    assert!(outdated.authenticate(before.text.reveal()).await.is_ok());
    let refused = outdated.authenticate(after.text.reveal()).await.unwrap_err();
    let AuthenticationError::Unavailable(cause) = &refused else { panic!("{refused:?}") };
    assert!(
        matches!(&**cause, IdentityError::KeyFile(KeyFileError::MissingVersion { version: 2, path }) if *path == copy),
        "{cause:?}"
    );
    let message = cause.to_string();
    assert!(message.contains("stored under version 2") && message.contains("this process does not have"), "{message}");
    // Once the file has the version, the process needs no restart.
    std::fs::copy(installation.key_file(), &copy).unwrap();
    assert!(outdated.authenticate(after.text.reveal()).await.is_ok());
    process.rooms.close().await.unwrap();
}
