//! Rules about the sources that no compiler checks: which crate may depend on which, what stays out of a crate, how long
//! files and functions are, which files may use which, and which words are not used.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

mod cycles;
mod floats;
mod language;
mod rules;
mod sources;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use sources::root;

/// Each crate with the crates that it may depend on, in tests too. The root may depend on all of them.
pub(crate) const CRATES: [(&str, &[&str]); 9] = [
    ("domain", &[]),
    ("streams", &["domain"]),
    ("commands", &["streams", "domain"]),
    ("projections", &["streams", "domain"]),
    ("identity", &["commands", "streams", "domain"]),
    ("policies", &["commands", "projections", "streams", "domain"]),
    ("ingest", &["commands", "domain"]),
    ("gateway", &["ingest", "commands", "domain"]),
    ("api", &["identity", "ingest", "gateway", "commands", "projections", "streams", "domain"]),
];
/// The package that combines the crates.
const ROOT: &str = "apex";
/// Helpers of tests and benchmarks. They may depend on every crate, and only the root's tests may depend on them.
const TESTKIT: &str = "testkit";

/// Libraries that characterize a crate, each with the packages that may use it.
const LIBRARIES: [(&str, &[&str]); 5] = [
    ("sqlx", &["streams", "projections", "policies", "identity", ROOT, TESTKIT]),
    ("rdkafka", &["streams"]),
    ("axum", &["api"]),
    ("async-graphql", &["api"]),
    ("clap", &[ROOT]),
];
/// Libraries that packages may use in tests only.
const TEST_LIBRARIES: [(&str, &str); 1] = [("rdkafka", ROOT)];

/// The libraries of the domain. It has no clock, random numbers, tasks or input and output.
const DOMAIN_LIBRARIES: [&str; 11] = [
    "bigdecimal",
    "chrono",
    "chrono-tz",
    "rust_decimal",
    "schemars",
    "serde",
    "serde_json",
    "sha1",
    "thiserror",
    "unicode-normalization",
    "uuid",
];

pub(crate) fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".into()])
        .exec()
        .unwrap()
}

fn allowed_crates(package: &str) -> Option<&'static [&'static str]> {
    CRATES.iter().find(|(name, _)| *name == package).map(|(_, allowed)| *allowed)
}

/// Whether a dependency belongs to a library, as `async-graphql-axum` belongs to `async-graphql`.
fn is_of_family(dependency: &str, library: &str) -> bool {
    dependency.strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// The rule that a dependency of a package violates, if any.
fn violation(package: &str, dependency: &str, kind: DependencyKind) -> Option<String> {
    if dependency == TESTKIT && (package, kind) != (ROOT, DependencyKind::Development) {
        return Some(format!("{package} may not depend on {TESTKIT}, which is a dev-dependency of {ROOT} only"));
    }
    let is_crate = allowed_crates(dependency).is_some() || dependency == ROOT;
    if is_crate && allowed_crates(package).is_some_and(|allowed| !allowed.contains(&dependency)) {
        return Some(format!("{package} may not depend on {dependency}: see CRATES"));
    }
    for (library, users) in LIBRARIES {
        let in_tests = kind == DependencyKind::Development && TEST_LIBRARIES.contains(&(library, package));
        if is_of_family(dependency, library) && !users.contains(&package) && !in_tests {
            return Some(format!("{package} may not use {dependency}: {library} is for {}", users.join(", ")));
        }
    }
    let is_impure =
        package == "domain" && kind != DependencyKind::Development && !DOMAIN_LIBRARIES.contains(&dependency);
    is_impure.then(|| format!("domain may not use {dependency}: it is pure, and uses {}", DOMAIN_LIBRARIES.join(", ")))
}

fn violations(package: &Package) -> Vec<String> {
    package.dependencies.iter().filter_map(|used| violation(&package.name, &used.name, used.kind)).collect()
}

#[test]
fn crates_depend_in_one_direction_and_libraries_stay_in_their_crates() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let mut names: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
    names.sort();
    let mut known: Vec<_> = CRATES.iter().map(|(name, _)| *name).chain([ROOT, TESTKIT]).collect();
    known.sort();
    assert_eq!(names, known, "a package of the workspace has no rule: add it to CRATES");
    let violations: Vec<_> = packages.into_iter().flat_map(violations).collect();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn failpoints_are_enabled_in_tests_only() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let fail: Vec<_> = packages.iter().flat_map(|package| &package.dependencies).filter(|d| d.name == "fail").collect();
    let is_on = |kind| fail.iter().any(|d| d.kind == kind && d.features.iter().any(|feature| feature == "failpoints"));
    assert!(is_on(DependencyKind::Development) && !is_on(DependencyKind::Normal));
    let features = packages.iter().flat_map(|package| package.features.values().flatten());
    assert_eq!(features.filter(|feature| feature.contains("failpoints")).count(), 0);
}

/// The control of the rules about dependencies.
#[test]
fn planted_dependencies_are_detected() {
    let normal = DependencyKind::Normal;
    for (package, dependency) in [
        ("domain", "streams"),
        ("streams", "commands"),
        ("commands", "projections"),
        ("projections", "commands"),
        ("projections", "api"),
        ("projections", "policies"),
        ("api", "policies"),
        ("identity", "projections"),
        ("policies", "identity"),
        ("ingest", "projections"),
        ("gateway", "api"),
        ("gateway", "axum"),
        ("api", "apex"),
        ("api", "sqlx"),
        ("commands", "sqlx-core"),
        ("projections", "rdkafka"),
        ("apex", "rdkafka"),
        ("apex", "axum"),
        ("commands", "async-graphql-value"),
        ("streams", "clap"),
        ("domain", "tokio"),
        ("domain", "rand"),
        ("domain", "sha2"),
        ("apex", "testkit"),
    ] {
        assert!(violation(package, dependency, normal).is_some(), "{package} -> {dependency}");
    }
    for (package, dependency) in [
        ("api", "commands"),
        ("policies", "projections"),
        ("apex", "sqlx"),
        ("streams", "rdkafka"),
        ("domain", "uuid"),
        ("testkit", "apex"),
    ] {
        assert!(violation(package, dependency, normal).is_none(), "{package} -> {dependency}");
    }
    assert!(violation("apex", "rdkafka", DependencyKind::Development).is_none());
    assert!(violation("apex", "testkit", DependencyKind::Development).is_none());
    assert!(violation("projections", "testkit", DependencyKind::Development).is_some());
    assert!(violation("projections", "commands", DependencyKind::Development).is_some());
}
