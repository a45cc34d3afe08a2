//! Operator mutations over GraphQL: who may use them, and rebuilding and switching a projection.

use crate::graphql::code;

use serde_json::{Value, json};
use testkit::{TIMEOUT, TestDatabase, sample};

/// The operator token over HTTP; for WebSockets see [`crate::subscriptions`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_operator_token_may_manage_projections() {
    let database = TestDatabase::new().await;
    for wrong in [&["--operator-token", " "][..], &["--token", "tea", "--operator-token", "tea"]] {
        let output = database.run(&[&["serve", "--listen", "127.0.0.1:0"], wrong].concat()).await;
        assert_eq!(output.code, Some(1));
        assert!(output.stderr.contains("APEX_OPERATOR_TOKEN"), "{}", output.stderr);
    }
    let server = database.serve(&["--token", "tea", "--operator-token", "rum"]).await;
    let ask = async |token: &str, query: &str| -> Value {
        let request = testkit::http_client().post(format!("{}/graphql", server.address)).bearer_auth(token);
        request.json(&json!({ "query": query })).send().await.unwrap().json().await.unwrap()
    };
    let skip = "resumeParkedEvent(input: { projection: \"calls\", position: \"3\", decision: SKIP, reason: \"x\" })";
    for (mutation, answers) in [
        (format!("{skip} {{ parked }}"), "NOT_PARKED"),
        ("rebuildProjection(name: \"x\") { name }".to_owned(), "UNKNOWN_PROJECTION"),
        ("compareProjection(name: \"x\") { same }".to_owned(), "UNKNOWN_PROJECTION"),
        ("switchProjection(name: \"x\") { name }".to_owned(), "UNKNOWN_PROJECTION"),
        ("dropProjectionVersion(name: \"x\", version: PREVIOUS) { name }".to_owned(), "UNKNOWN_PROJECTION"),
    ] {
        let mutation = format!("mutation {{ {mutation} }}");
        assert_eq!(code(&ask("tea", &mutation).await), "FORBIDDEN", "{mutation}");
        assert_eq!(ask("rum", &mutation).await["errors"][0]["extensions"]["reason"], answers);
    }
    // Both tokens may do everything else; other tokens may do nothing.
    for token in ["tea", "rum"] {
        assert_eq!(ask(token, "{ projections { name } }").await["data"]["projections"][0]["name"], "agents");
    }
    assert_eq!(code(&ask("coffee", "{ projections { name } }").await), "UNAUTHENTICATED");
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_rebuild_compare_switch_and_drop_a_projection_version() {
    let database = TestDatabase::new().await;
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    let server = database.serve(&[]).await;
    let name = json!({ "name": "calls" });
    let refused =
        server.graphql_response("mutation ($name: String!) { switchProjection(name: $name) { name } }", name.clone());
    assert_eq!(refused.await["errors"][0]["extensions"]["reason"], "NOT_BUILT");
    server.graphql("mutation ($name: String!) { rebuildProjection(name: $name) { name } }", name.clone()).await;
    let deadline = std::time::Instant::now() + TIMEOUT;
    let head = database.head().await.to_string();
    let built = "{ projections { name nextVersion nextPosition } }";
    while server.graphql(built, json!({})).await["projections"][2]["nextPosition"] != head.as_str() {
        assert!(std::time::Instant::now() < deadline, "the projection was not built in time");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let compare = "mutation ($name: String!) { compareProjection(name: $name) {
        same columns differences { key } tables { table liveRows nextRows same } } }";
    let compared = &server.graphql(compare, name.clone()).await["compareProjection"];
    assert_eq!((&compared["same"], &compared["tables"][0]["nextRows"]), (&json!(true), &json!(37)), "{compared}");
    let switch = "mutation ($name: String!) { switchProjection(name: $name) { version nextVersion previousVersion } }";
    let switched = &server.graphql(switch, name.clone()).await["switchProjection"];
    let version = projections::by_name("calls").unwrap().version();
    assert_eq!(switched, &json!({ "version": version, "nextVersion": null, "previousVersion": version }));
    let dropping =
        "mutation ($name: String!) { dropProjectionVersion(name: $name, version: PREVIOUS) { previousVersion } }";
    assert_eq!(server.graphql(dropping, name).await["dropProjectionVersion"]["previousVersion"], json!(null));
    let unknown = server.graphql_response("mutation { rebuildProjection(name: \"x\") { name } }", json!({})).await;
    assert_eq!(unknown["errors"][0]["extensions"]["reason"], "UNKNOWN_PROJECTION");
    let resume = "mutation { resumeParkedEvent(input: { projection: \"calls\", position: \"3\", decision: SKIP, reason: \"x\" }) { parked } }";
    assert_eq!(server.graphql_response(resume, json!({})).await["errors"][0]["extensions"]["reason"], "NOT_PARKED");
    drop(server.terminate().await);
}
