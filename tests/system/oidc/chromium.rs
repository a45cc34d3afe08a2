//! The whole sign-in in a real browser.

use super::providers::{Provider, node, serve};
use crate::users::Installation;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_with_a_real_browser() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    // By another name than the server: it is another site, as providers are.
    let okta = Provider::genuine("okta", json!({ "claimsInIdToken": true, "host": "localhost" }))
        .await
        .with("create_users = true\nscopes = ['profile', 'email', 'groups']\n[provider.roles]\nstaff = ['viewer']");
    okta.say(&json!({ "ada": { "email": "ada@example.org", "email_verified": true, "groups": ["staff"] } }));
    let server = serve(&installation, &folder, &[&okta], &[]).await;
    let output = node("chromium.mjs").arg(&server.address).output().await.unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{error}");
    let seen: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    // The page that the browser is led to was requested with the cookies of the session, though they are for this site only.
    assert_eq!(seen["session"]["email"], "ada@example.org", "{seen}");
    assert_eq!(seen["session"]["roles"], json!(["viewer"]));
    // Control: a redirect of another site leads there without them.
    assert_eq!(seen["byRedirect"]["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{seen}");
    // What scripts can read of them is the value that they have to repeat.
    assert_eq!(seen["readable"], json!(["apex_csrf"]));
    // A page of the server changes something with them; the session ends.
    assert_eq!(seen["loggedOut"], json!({ "ended": true }));
    assert_eq!(seen["afterwards"], 401);
    // A second sign-in asks for nothing: the person is known at the provider.
    assert_eq!(seen["again"]["email"], "ada@example.org");
    drop(server.terminate().await);
}
