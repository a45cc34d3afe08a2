//! Documents agree with the code: their links resolve, and the tests, metrics, variables, options and headers that they name
//! exist.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below the root whose name has one of these endings, with its text.
fn files(endings: &[&str]) -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, endings: &[&str], found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", "node_modules"].contains(&name.as_str()) && !name.starts_with('.') {
                    collect(&path, endings, found);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    let mut found = Vec::new();
    collect(root(), endings, &mut found);
    found.sort();
    found
}

fn documents() -> Vec<(PathBuf, String)> {
    let documents = files(&[".md"]);
    assert!(documents.len() > 5, "only {} documents were found, so nothing is checked", documents.len());
    documents
}

/// The documents, and the files that deploy Apex.
fn documents_and_deployment() -> Vec<(PathBuf, String)> {
    let deployment = files(&[".yml", ".yaml", ".json", "Dockerfile"]);
    documents().into_iter().chain(deployment.into_iter().filter(|(path, _)| path.starts_with("deploy"))).collect()
}

/// All code outside of `tests/`, as one text.
fn code() -> String {
    let rust = files(&[".rs"]).into_iter().filter(|(path, _)| !path.starts_with("tests"));
    rust.map(|(_, text)| text).collect::<Vec<_>>().join("\n")
}

/// The text and the target of each link in a document.
fn links(text: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    for (place, _) in text.match_indices("](") {
        let target = text[place + 2..].split([')', '\n']).next().unwrap_or_default();
        let label = text[..place].rsplit('[').next().unwrap_or_default();
        links.push((label, target));
    }
    links
}

/// The function that a link names, if its text is code and its target a source file.
fn named_function<'a>(label: &'a str, target: &str) -> Option<&'a str> {
    let name = label.strip_prefix('`')?.strip_suffix('`')?;
    let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    (is_name && target.ends_with(".rs")).then_some(name)
}

/// Whether a source file has a test with this name, by attribute, inside `proptest!`, or in a list of `trials!`.
fn has_test(source: &str, name: &str) -> bool {
    let Some(place) = source.find(&format!("fn {name}(")) else { return false };
    let trials = source.split("trials![").skip(1).filter_map(|rest| rest.split(']').next());
    if trials.flat_map(|list| list.split(',')).any(|trial| trial.trim() == name) {
        return true;
    }
    let above: Vec<_> = source[..place].lines().rev().take(4).collect();
    above.iter().any(|line| line.trim_start().starts_with("#[test]") || line.trim_start().starts_with("#[tokio::test"))
}

/// Words with a prefix, such as `apex_log_position` or `APEX_HOME`.
fn words<'a>(text: &'a str, prefix: &str, is_part: fn(char) -> bool) -> BTreeSet<&'a str> {
    let starts = text.match_indices(prefix).map(|(place, _)| place);
    starts
        .filter(|&place| !text[..place].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .map(|place| {
            let rest = &text[place..];
            rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())].trim_end_matches(['_', '.', '-'])
        })
        .collect()
}

fn is_snake(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

fn is_shouted(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'
}

/// The name in the code of the metric to which Prometheus gives this name.
fn metric(word: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix)).unwrap_or(word)
}

#[test]
fn every_link_resolves() {
    for (path, text) in documents() {
        for (label, target) in links(&text) {
            let local = target.split('#').next().unwrap_or_default();
            if local.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let file = root().join(path.parent().unwrap()).join(local);
            assert!(file.exists(), "{}: the link [{label}]({target}) does not resolve", path.display());
        }
    }
}

#[test]
fn every_named_test_exists() {
    let mut named = 0;
    for (path, text) in documents() {
        for (label, target) in links(&text) {
            let Some(name) = named_function(label, target) else { continue };
            let source = std::fs::read_to_string(root().join(path.parent().unwrap()).join(target)).unwrap();
            assert!(has_test(&source, name), "{}: {target} has no test {name}", path.display());
            named += 1;
        }
    }
    assert!(named > 20, "only {named} tests are named, so nothing is checked");
}

/// The rows of the tables in `docs/invariants.md`: the invariant, its tests and its controls.
fn invariants(text: &str) -> Vec<[&str; 3]> {
    let tables = text.split("| invariant | tests | control |\n").skip(1);
    let rows = tables.flat_map(|table| table.lines().take_while(|line| line.starts_with('|')).skip(1));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        cells.try_into().unwrap_or_else(|_| panic!("this row has not three cells: {row}"))
    })
    .collect()
}

/// The tests that a cell names as `suite: name`.
fn tests_in_cell(cell: &str) -> Vec<(&str, &str)> {
    cell.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(": ")).collect()
}

/// Whether a path belongs to a suite, as the head of `docs/invariants.md` lists them.
fn is_in_suite(path: &Path, suite: &str) -> bool {
    match suite {
        "documents" => path == Path::new("tests/documents.rs"),
        "architecture" | "system" | "chaos" | "relay" | "kafka_tls" | "trace" | "known_answers" | "prices" => {
            path.starts_with(Path::new("tests").join(suite))
        }
        "domain" | "streams" | "commands" | "projections" | "identity" | "policies" | "ingest" | "gateway" | "api" => {
            path.starts_with(Path::new(suite).join("src"))
        }
        "apex" => path.starts_with("src"),
        _ => suite.split_once('/').is_some_and(|(package, name)| {
            let tests = Path::new(package).join("tests");
            path == tests.join(format!("{name}.rs")) || path.starts_with(tests.join(name))
        }),
    }
}

fn has_test_in_suite(sources: &[(PathBuf, String)], suite: &str, name: &str) -> bool {
    sources.iter().any(|(path, text)| is_in_suite(path, suite) && has_test(text, name))
}

#[test]
fn every_test_in_the_table_of_invariants_exists() {
    let text = std::fs::read_to_string(root().join("docs/invariants.md")).unwrap();
    let sources = files(&[".rs"]);
    for [invariant, tests, controls] in invariants(&text) {
        for (suite, name) in [tests, controls].into_iter().flat_map(tests_in_cell) {
            assert!(has_test_in_suite(&sources, suite, name), "{invariant}: the suite {suite} has no test {name}");
        }
    }
}

#[test]
fn every_invariant_names_a_test() {
    let text = std::fs::read_to_string(root().join("docs/invariants.md")).unwrap();
    let invariants = invariants(&text);
    assert!(invariants.len() > 50, "only {} invariants were found, so nothing is checked", invariants.len());
    for [invariant, tests, controls] in invariants {
        assert!(!tests_in_cell(tests).is_empty(), "this invariant names no test: {invariant}");
        let is_control = controls.is_empty() || controls.contains("in the test") || !tests_in_cell(controls).is_empty();
        assert!(is_control, "{invariant}: this is no control: {controls}");
    }
}

#[test]
fn every_documented_metric_is_recorded() {
    let code = code();
    for (path, text) in documents_and_deployment() {
        for word in words(&text, "apex_", is_snake) {
            // `apex_app` and `apex_reader` are roles, `apex_sign_in` is a cookie, `apex_client` is a package for Python;
            // `apex_http_*` names a family of metrics.
            if ["apex_app", "apex_reader", "apex_sign_in", "apex_client"].contains(&word)
                || text.contains(&format!("{word}_*"))
            {
                continue;
            }
            let metric = metric(word);
            assert!(code.contains(&format!("!(\"{metric}\"")), "{}: the code does not record {word}", path.display());
        }
    }
}

#[test]
fn every_documented_variable_and_option_exists() {
    let code = code();
    for (path, text) in documents_and_deployment() {
        for word in words(&text, "APEX_", is_shouted) {
            let found = word == "APEX" || code.contains(&format!("\"{word}\""));
            assert!(found || word.starts_with("APEX_TEST"), "{}: the code does not read {word}", path.display());
        }
        for line in text.lines().filter(|line| line.contains("apex ")) {
            let options = line.split("apex ").skip(1).flat_map(|rest| words(rest, "--", |c| c == '-' || is_snake(c)));
            for option in options.filter(|option| option.len() > 2) {
                let field = option.trim_start_matches('-').replace('-', "_");
                let found = code.contains(&format!("    {field}: "))
                    || code.contains(&format!("    pub {field}: "))
                    || code.contains(&format!("    pub(super) {field}: "))
                    || code.contains(&format!("long = \"{field}\""))
                    || field == "help";
                assert!(found, "{}: there is no option {option} in {line:?}", path.display());
            }
        }
    }
}

#[test]
fn the_kafka_page_lists_the_headers_of_the_relay() {
    let relay = std::fs::read_to_string(root().join("streams/src/relay/headers.rs")).unwrap();
    let page = std::fs::read_to_string(root().join("docs/kafka.md")).unwrap();
    let sent: BTreeSet<_> = words(&relay, "ce_", is_snake);
    assert!(sent.len() > 8);
    assert_eq!(words(&page, "ce_", is_snake), sent);
}

fn deployed(file: &str) -> String {
    std::fs::read_to_string(root().join("deploy").join(file)).unwrap()
}

#[test]
fn deployments_set_every_token_and_a_network_policy() {
    for file in ["compose.yaml", "kubernetes/apex.yaml"] {
        let text = deployed(file);
        for token in ["APEX_TOKEN", "APEX_OPERATOR_TOKEN", "APEX_METRICS_TOKEN"] {
            assert!(text.contains(token), "{file} sets no {token}");
        }
    }
    for token in ["APEX_TOKEN=\n", "APEX_OPERATOR_TOKEN=\n", "APEX_METRICS_TOKEN=\n"] {
        assert!(deployed(".env.example").contains(token), "deploy/.env.example has no {token}");
    }
    let manifests = deployed("kubernetes/apex.yaml");
    let policy = manifests.split("---").find(|manifest| manifest.contains("kind: NetworkPolicy")).unwrap();
    assert!(policy.contains("ingress:") && policy.contains("egress:"));
    assert!(deployed("prometheus/prometheus.yml").contains("credentials_file:"));
}

/// The images that a deployment file names, with tag and digest.
fn images(text: &str) -> Vec<&str> {
    let named = text.lines().filter_map(|line| line.trim().strip_prefix("image: ").or(line.strip_prefix("FROM ")));
    // `apex` is built from this repository.
    named.filter_map(|rest| rest.split_whitespace().next()).filter(|image| *image != "apex").collect()
}

#[test]
fn images_have_exact_tags() {
    let files = ["Dockerfile", "compose.yaml", "kubernetes/apex.yaml"].map(deployed);
    let images: Vec<_> = files.iter().flat_map(|text| images(text)).collect();
    assert!(images.len() > 6, "{images:?}");
    for image in images {
        let tag = image.split('@').next().unwrap().rsplit_once(':').map_or("", |(_, tag)| tag);
        // A version with at least major and minor number: Debian's have two numbers.
        let version = tag.trim_start_matches('v').split('-').next().unwrap_or_default();
        assert!(version.split('.').filter(|part| part.parse::<u32>().is_ok()).count() >= 2, "{image} has no exact tag");
    }
}

/// With a fake `docker` that prints the digest.
#[test]
fn pinning_images_writes_digests_next_to_tags() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (bin, deploy) = (folder.path().join("bin"), folder.path().join("deploy"));
    std::fs::create_dir(&bin).unwrap();
    std::fs::create_dir(&deploy).unwrap();
    for file in ["Dockerfile", "compose.yaml"] {
        std::fs::write(deploy.join(file), deployed(file)).unwrap();
    }
    let pin = |answer: &str| {
        let docker = bin.join("docker");
        std::fs::write(&docker, format!("#!/bin/sh\n{answer}\n")).unwrap();
        std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut script = std::process::Command::new(root().join("scripts/pin-images.sh"));
        script.arg(&deploy).env("PATH", path).output().unwrap().status.success()
    };
    let read = || ["Dockerfile", "compose.yaml"].map(|file| std::fs::read_to_string(deploy.join(file)).unwrap());
    let before = read();
    assert!(!pin("echo nothing"), "text that is not a digest was written");
    assert_eq!(read(), before);
    for digit in ["a", "b"] {
        let digest = format!("sha256:{}", digit.repeat(64));
        assert!(pin(&format!("echo {digest}")));
        let after = read();
        for (before, after) in before.iter().zip(&after) {
            let pinned: Vec<_> = images(before).iter().map(|image| format!("{image}@{digest}")).collect();
            assert_eq!(images(after), pinned);
            // Nothing else changes.
            assert_eq!(&after.replace(&format!("@{digest}"), ""), before);
        }
    }
}

/// The controls of the tests above.
#[test]
fn planted_errors_are_detected() {
    let text = "see [a](b.md), [`is_so`](x.rs) and [`Type`](x.rs)";
    assert_eq!(links(text), [("a", "b.md"), ("`is_so`", "x.rs"), ("`Type`", "x.rs")]);
    let named: Vec<_> = links(text).into_iter().filter_map(|(label, target)| named_function(label, target)).collect();
    assert_eq!(named, ["is_so"]);
    let source = "#[test]\nfn is_so() {}\n\n\n\n\nfn helper() {}";
    assert!(has_test(source, "is_so") && !has_test(source, "helper") && !has_test(source, "is_not"));
    let trials = "const TRIALS: Trials = trials![is_one, is_listed,];\nfn is_one() {}\nfn is_none() {}";
    assert!(has_test(trials, "is_one") && !has_test(trials, "is_none") && !has_test(trials, "is_listed"));
    let table =
        "| invariant | tests | control |\n|---|---|---|\n| It holds. | `chaos: is_one`, `domain/golden: is_so` | |\n\n";
    assert_eq!(invariants(table), [["It holds.", "`chaos: is_one`, `domain/golden: is_so`", ""]]);
    assert_eq!(tests_in_cell(invariants(table)[0][1]), [("chaos", "is_one"), ("domain/golden", "is_so")]);
    let sources =
        [("tests/chaos/a.rs".into(), trials.to_owned()), ("domain/tests/golden.rs".into(), source.to_owned())];
    assert!(has_test_in_suite(&sources, "chaos", "is_one") && has_test_in_suite(&sources, "domain/golden", "is_so"));
    assert!(!has_test_in_suite(&sources, "chaos", "is_so") && !has_test_in_suite(&sources, "nothing", "is_one"));
    assert!(!has_test_in_suite(&sources, "chaos", "is_none") && !has_test_in_suite(&sources, "domain", "is_so"));
    assert_eq!(words("xapex_no apex_a_b_total{x} `apex_c`.", "apex_", is_snake), ["apex_a_b_total", "apex_c"].into());
    assert_eq!(metric("apex_a_seconds_bucket"), "apex_a_seconds");
}
