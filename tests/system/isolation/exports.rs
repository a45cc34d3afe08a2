//! What the command line prints: nothing of another tenant, whatever it is asked for.

use super::Matrix;

/// The subcommands that print data of a tenant. `FOREIGN` is an id of another one.
const EXPORTS: [&str; 24] = [
    "replay",
    "replay --stream agent/AGENT",
    "replay --stream agent/AGENT --as-of POSITION",
    "replay --stream call/CALL --as-of POSITION",
    "replay --stream memory/MEMORY --as-of POSITION",
    "report cost --format csv",
    "report cost --format json --by model,provider",
    "report cost --format csv --by agent",
    "report cost --format csv --by task",
    "report cost --format csv --by conversation",
    "report cost --format json --filter agent=AGENT",
    "prices list --format json",
    "tags list",
    "accounts list --format json",
    "keys list --format json",
    "limits show",
    "teams list --format json",
    "teams members TEAM",
    "roles list --format json",
    "roles assignments --format json",
    "access review --format json",
    "users list --format json",
    "users invitations --format json",
    "whoami",
];

/// Exports of the command line have nothing of the other tenant. Control: those of the other tenant do.
pub(super) async fn check(matrix: &Matrix) -> Vec<String> {
    let foreign = &matrix.foreign;
    let export = async |template: &str, tenant: &str| {
        let line = template
            .replace("AGENT", &foreign.id("Agent").uuid)
            .replace("CALL", &foreign.id("Call").uuid)
            .replace("MEMORY", &foreign.id("Memory").uuid)
            .replace("TEAM", &foreign.id("Team").uuid)
            .replace("POSITION", &foreign.position);
        let key_file = matrix.installation.key_file();
        let more = ["--tenant", tenant, "--key-file", key_file.to_str().unwrap()];
        let arguments: Vec<_> = line.split(' ').chain(more).collect();
        let output = matrix.installation.database.run(&arguments).await;
        (format!("{}{}", output.stdout, output.stderr), line)
    };
    let (mut problems, mut shown) = (Vec::new(), 0);
    for template in EXPORTS {
        let own_tenant = testkit::tenant().to_string();
        let (own, theirs) = futures::join!(export(template, &own_tenant), export(template, &foreign.tenant));
        let found = foreign.canaries.found_in(&own.0, &own.1);
        if !found.is_empty() {
            problems.push(format!("apex {template} shows {found:?}"));
        }
        assert!(!own.0.contains("error: unexpected") && !own.0.contains("Usage:"), "{template}: {}", own.0);
        shown += usize::from(!foreign.canaries.found_in(&theirs.0, &theirs.1).is_empty());
    }
    assert!(shown > EXPORTS.len() - 4, "only {shown} of {} exports show what their own tenant has", EXPORTS.len());
    problems
}
