//! The types of the packages, and the examples of their documents.

use super::programs::{node, python, root};
use crate::reservations::define;
use serde_json::json;
use std::path::Path;
use std::process::{Output, Stdio};
use testkit::{ProviderStub, Server, TestDatabase};
use tokio::process::Command;

async fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().await.unwrap()
}

fn texts(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// Checks Python with mypy, by the settings of the package.
async fn mypy(files: &[&Path]) -> Output {
    let cache = tempfile::tempdir().unwrap();
    let mut command = python();
    command.args(["-m", "mypy", "--cache-dir"]).arg(cache.path()).args(files);
    output(command.current_dir(root().join("clients/python")).env("MYPYPATH", "src").env_remove("PYTHONPATH")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_package_for_python_is_typed() {
    let checked = mypy(&[]).await;
    assert!(checked.status.success(), "{}", texts(&checked));
    // The control: a use that is not as the types say.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.py");
    std::fs::write(&file, "from apex_client import Apex\n\nApex().reserve(usage=3)\n").unwrap();
    let wrong = mypy(&[file.as_path()]).await;
    assert!(!wrong.status.success() && texts(&wrong).contains("arg-type"), "{}", texts(&wrong));
}

/// The compiler of TypeScript.
fn tsc() -> Command {
    let mut command = node();
    command.arg(root().join("target/tools/clients-node/node_modules/typescript/bin/tsc"));
    command
}

/// A folder in which programs find the package, and the SDK of OpenAI.
fn folder_with_package() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let packages = folder.path().join("node_modules");
    std::fs::create_dir(&packages).unwrap();
    std::os::unix::fs::symlink(root().join("clients/typescript"), packages.join("apex-client")).unwrap();
    let openai = root().join("target/tools/clients-node/node_modules/openai");
    std::os::unix::fs::symlink(openai, packages.join("openai")).unwrap();
    folder
}

/// The package is checked as strictly as the compiler can, and its declarations are those that it writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_declarations_of_the_package_for_typescript_are_those_of_its_sources() {
    let (written, package) = (tempfile::tempdir().unwrap(), root().join("clients/typescript"));
    let compiled = output(tsc().arg("--project").arg(&package).arg("--outDir").arg(written.path())).await;
    assert!(compiled.status.success(), "{}", texts(&compiled));
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    };
    let declared = package.join("types");
    assert!(!names(&declared).is_empty() && names(&declared) == names(written.path()));
    for name in names(&declared) {
        let [old, new] =
            [declared.join(&name), written.path().join(&name)].map(|path| std::fs::read_to_string(path).unwrap());
        assert!(old == new, "{name:?} is out of date: run tsc in clients/typescript");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_in_typescript_is_checked_against_the_package() {
    let folder = folder_with_package();
    let checked = async |text: &str| {
        std::fs::write(folder.path().join("program.mts"), text).unwrap();
        let options =
            "--noEmit --strict --exactOptionalPropertyTypes --module nodenext --target es2022 --lib es2024,dom";
        output(tsc().args(options.split(' ')).arg("program.mts").current_dir(folder.path())).await
    };
    let right = "import { Apex, BudgetExceeded, type Usage } from 'apex-client';
        const usage: Usage = { input: 1, output: 2 };
        const made: number = await new Apex({ url: 'https://apex.example.com' }).withBudget({ model: 'm', usage }, async (call) => {
            const limit: number = call.outputLimit;
            const settled = await call.settle({ usage: { output: limit } });
            const cost: string | null | undefined = settled?.cost;
            return cost ? 1 : 0;
        });
        const left: string | null = new BudgetExceeded('b', null, null, 'r').left;
        export { left, made };";
    let output = checked(right).await;
    assert!(output.status.success(), "{}", texts(&output));
    // The control: uses that are not as the types say.
    for wrong in ["usage: { tokens: 1 }", "usage: { output: '1' }", "model: 'm'"] {
        let text =
            format!("import {{ Apex }} from 'apex-client';\nawait new Apex().reserve({{ {wrong} }});\nexport {{}};");
        let output = checked(&text).await;
        assert!(!output.status.success() && texts(&output).contains("program.mts"), "{wrong}: {}", texts(&output));
    }
}

/// The documents show the examples that these tests run.
#[test]
fn the_documents_of_the_packages_have_the_examples() {
    let text = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    for (example, document) in [
        ("example.py", "clients/python/README.md"),
        ("example_litellm.py", "clients/python/README.md"),
        ("example.mjs", "clients/typescript/README.md"),
    ] {
        let lines = text(&format!("tests/clients/{example}"));
        assert!(text(document).contains(&format!("{lines}```")), "{document} lacks:\n{lines}");
    }
}

/// Runs an example, and returns what it prints.
async fn example(name: &str, server: &Server, provider: &ProviderStub) -> String {
    let folder = folder_with_package();
    let source = root().join("tests/clients").join(name);
    let program = folder.path().join(name);
    std::fs::copy(source, &program).unwrap();
    let is_python = program.extension().is_some_and(|ending| ending == "py");
    let mut command = if is_python { python() } else { node() };
    command.arg(program).env("APEX_URL", &server.address).env_remove("APEX_TOKEN");
    command.env("OPENAI_BASE_URL", format!("{}/v1", provider.address)).env("OPENAI_API_KEY", "none");
    let output = output(&mut command).await;
    assert!(output.status.success(), "{name}: {}", texts(&output));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_the_packages_call_and_are_refused() {
    let (database, provider) = (TestDatabase::new().await, ProviderStub::start().await);
    let server = database.serve(&[]).await;
    let price = json!({ "provider": "openai", "model": "m", "effectiveFrom": "2020-01-01T00:00:00Z",
                        "components": [{ "meter": "OUTPUT", "rate": "1" }, { "meter": "INPUT", "rate": "1" }] });
    let set = "mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome } }";
    server.graphql(set, json!({ "input": { "source": "test", "prices": [price] } })).await;
    let terms = |limit: &str| json!({ "name": limit, "scope": { "tenant": true }, "limit": limit, "enforcement": "HARD", "period": "TOTAL" });
    define(&server, terms("1")).await;
    assert_eq!(example("example.py", &server, &provider).await, "Sunny. 0.00007");
    assert_eq!(example("example.mjs", &server, &provider).await, "Sunny. 0.00007");
    assert_eq!(example("example_litellm.py", &server, &provider).await, "Sunny.");
    // Less than is charged already.
    let spent = define(&server, terms("0.0001")).await;
    for (name, until) in [
        ("example.py", "2200-01-01 00:00:00+00:00"),
        ("example.mjs", "2200-01-01T00:00:00.000Z"),
        ("example_litellm.py", "2200-01-01 00:00:00+00:00"),
    ] {
        assert_eq!(example(name, &server, &provider).await, format!("0 left of {spent} until {until}"));
    }
    assert_eq!(provider.requests().len(), 3, "what is refused is not sent");
    server.kill().await;
}
