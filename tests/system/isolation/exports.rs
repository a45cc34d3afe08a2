//! What the command line prints: nothing of another tenant, whatever it is asked for.

use super::Matrix;
use clap::CommandFactory as _;
use futures::StreamExt as _;
use std::collections::BTreeSet;

/// The subcommands that print data of a tenant. Words in capitals are ids of another one.
const EXPORTS: [&str; 46] = [
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
    "report changes --between 0..POSITION --by agent,model --format json",
    "replay --stream agent/AGENT --between 0..POSITION",
    "report chargeback --from 2020-01-01 --to 2030-01-01 --format json",
    "allocation show --format json",
    "invoice list --format json",
    "invoice show INVOICE --format json",
    "report meters --format json --by agent,model",
    "schedule list --format json",
    "alerts list --format json",
    "alerts deliveries --format json",
    "budgets status --format json",
    "budgets history SOFT_BUDGET --format json",
    "budgets refusals --format json",
    "budgets approvals --format json",
    "report tasks --from 2000-01 --to 2100-01 --format json",
    "receipt CALL",
    "receipt CALL --format json",
    "export calls --format ndjson",
    "export calls --format csv --from 2020-01-01",
    "export focus --format ndjson",
    "export calls --format ndjson --filter agent=AGENT",
    "traces show TRACE --format json",
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

/// Subcommands that print no data of a tenant: they run the installation, change something, or print documents.
const OTHERS: [&str; 19] = [
    "serve",
    "demo",
    "import",
    "calls",
    "projections",
    "jobs",
    "tenants",
    "gateway",
    "relay",
    "worker",
    "log",
    "database",
    "migrate",
    "login",
    "logout",
    "schema",
    "completions",
    "man",
    "help",
];

/// The subcommands that run at the same time.
const AT_ONCE: usize = 3;

/// Compares the lists with the subcommands of the program.
fn check_table<'a>(of_program: impl IntoIterator<Item = &'a str>) {
    let exports = EXPORTS.iter().filter_map(|line| line.split(' ').next());
    let known: BTreeSet<_> = exports.chain(OTHERS).collect();
    let new: Vec<_> = of_program.into_iter().filter(|name| !known.contains(name)).collect();
    assert!(new.is_empty(), "subcommands in neither EXPORTS nor OTHERS in tests/system/isolation/exports.rs: {new:?}");
}

/// What a subcommand prints in a tenant, and its arguments.
async fn export(matrix: &Matrix, template: &str, tenant: &str) -> (String, String) {
    let foreign = &matrix.foreign;
    let line = template
        .replace("AGENT", &foreign.id("Agent").uuid)
        .replace("CALL", &foreign.id("Call").uuid)
        .replace("MEMORY", &foreign.id("Memory").uuid)
        .replace("INVOICE", &foreign.id("Invoice").uuid)
        .replace("TEAM", &foreign.id("Team").uuid)
        .replace("SOFT_BUDGET", &foreign.id("SoftBudget").uuid)
        .replace("TRACE", &foreign.trace)
        .replace("POSITION", &foreign.position);
    let key_file = matrix.installation.key_file();
    let more = ["--tenant", tenant, "--key-file", key_file.to_str().unwrap()];
    let arguments: Vec<_> = line.split(' ').chain(more).collect();
    let output = matrix.installation.database.run(&arguments).await;
    let printed = format!("{}{}", output.stdout, output.stderr);
    assert!(!printed.contains("error: unexpected") && !printed.contains("Usage:"), "{template}: {printed}");
    (printed, line)
}

/// Exports of the command line have nothing of the other tenant. Control: those of the other tenant do.
pub(super) async fn check(matrix: &Matrix) -> Vec<String> {
    check_table(apex::cli::Cli::command().get_subcommands().map(clap::Command::get_name));
    let (own, foreign) = (testkit::tenant().to_string(), &matrix.foreign);
    let exported = EXPORTS.iter().map(async |template| {
        let (printed, line) = export(matrix, template, &own).await;
        let found = foreign.canaries.found_in(&printed, &line);
        let problem = (!found.is_empty()).then(|| format!("apex {template} shows {found:?}"));
        let (printed, line) = export(matrix, template, &foreign.tenant).await;
        (problem, !foreign.canaries.found_in(&printed, &line).is_empty())
    });
    let exported: Vec<_> = futures::stream::iter(exported).buffer_unordered(AT_ONCE).collect().await;
    let shown = exported.iter().filter(|(_, shows)| *shows).count();
    assert!(shown > EXPORTS.len() - 4, "only {shown} of {} exports show what their own tenant has", EXPORTS.len());
    exported.into_iter().filter_map(|(problem, _)| problem).collect()
}

#[test]
#[should_panic(expected = "\"planted\"")]
fn a_subcommand_that_is_in_no_list_is_found() {
    check_table(["serve", "planted"]);
}
