//! The rules of ARCHITECTURE.md that a compiler does not check: who may depend on whom, and what stays out of where.

#![allow(clippy::unwrap_used, reason = "tests stop where something does not hold")]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::path::{Path, PathBuf};

/// Each room with the rooms that it may depend on, in tests too. The root may depend on all of them.
const ROOMS: [(&str, &[&str]); 6] = [
    ("domain", &[]),
    ("streams", &["domain"]),
    ("commands", &["streams", "domain"]),
    ("projections", &["streams", "domain"]),
    ("ingest", &["commands", "domain"]),
    ("api", &["ingest", "commands", "projections", "streams", "domain"]),
];
/// The package that puts the rooms together.
const ROOT: &str = "apex";
/// Helpers of tests and benchmarks. They may use every package, and only the root may use them, in tests.
const TESTKIT: &str = "testkit";

/// Libraries that decide what a room is, each with the packages that may use it.
const LIBRARIES: [(&str, &[&str]); 5] = [
    ("sqlx", &["streams", "projections", ROOT, TESTKIT]),
    ("rdkafka", &["streams"]),
    ("axum", &["api"]),
    ("async-graphql", &["api"]),
    ("clap", &[ROOT]),
];
/// Libraries that packages may use in tests only.
const TEST_LIBRARIES: [(&str, &str); 1] = [("rdkafka", ROOT)];

/// All that the domain is made of: nothing here reads a clock unasked, rolls dice, waits, or talks to anybody.
const DOMAIN_LIBRARIES: [&str; 10] = [
    "bigdecimal",
    "chrono",
    "chrono-tz",
    "rust_decimal",
    "schemars",
    "serde",
    "serde_json",
    "thiserror",
    "unicode-normalization",
    "uuid",
];
/// What these libraries and the standard one could still be used for.
const IMPURE: [&str; 15] = [
    "Utc::now",
    "Local::now",
    "SystemTime",
    "Instant::now",
    "now_v7",
    "new_v4",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "println!",
    "async fn",
    ".await",
];

/// Statements that make or change what a database is made of, rather than what it holds.
const DDL: [&str; 17] = [
    "create table",
    "create index",
    "create unique index",
    "create function",
    "create or replace function",
    "create procedure",
    "create trigger",
    "create view",
    "create or replace view",
    "create materialized view",
    "create sequence",
    "create schema",
    "create extension",
    "create type",
    "alter table",
    "drop table",
    "grant select",
];

/// Lines that a source may have before its tests; beyond, it has more than one subject.
const MAX_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".into()])
        .exec()
        .unwrap()
}

fn rooms_of(package: &str) -> Option<&'static [&'static str]> {
    ROOMS.iter().find(|(room, _)| *room == package).map(|(_, allowed)| *allowed)
}

/// `async-graphql-axum` belongs to `async-graphql`.
fn is_of_family(dependency: &str, library: &str) -> bool {
    dependency.strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// What is wrong with the dependencies of a package.
fn forbidden(package: &str, dependency: &str, kind: DependencyKind) -> Option<String> {
    if dependency == TESTKIT && (package, kind) != (ROOT, DependencyKind::Development) {
        return Some(format!(
            "{package} may not depend on {TESTKIT}: it is a dev-dependency of {ROOT}, and of no other"
        ));
    }
    let is_room = rooms_of(dependency).is_some() || dependency == ROOT;
    if is_room && rooms_of(package).is_some_and(|allowed| !allowed.contains(&dependency)) {
        return Some(format!("{package} may not depend on {dependency}: arrows between rooms point one way"));
    }
    for (library, users) in LIBRARIES {
        let in_tests = kind == DependencyKind::Development && TEST_LIBRARIES.contains(&(library, package));
        if is_of_family(dependency, library) && !users.contains(&package) && !in_tests {
            return Some(format!("{package} may not use {dependency}: {library} belongs to {}", users.join(", ")));
        }
    }
    let is_impure =
        package == "domain" && kind != DependencyKind::Development && !DOMAIN_LIBRARIES.contains(&dependency);
    is_impure
        .then(|| format!("domain may not use {dependency}: it is pure, and made of {}", DOMAIN_LIBRARIES.join(", ")))
}

fn violations(package: &Package) -> Vec<String> {
    package.dependencies.iter().filter_map(|used| forbidden(&package.name, &used.name, used.kind)).collect()
}

/// A file of code, up to its tests, without its comments.
struct Source {
    path: PathBuf,
    lines: usize,
    code: String,
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "tests", "benches", "migrations"].contains(&name.as_str()) && !name.starts_with('.') {
                files(&path, found);
            }
        } else if name != "tests.rs" && (name.ends_with(".rs") || name.ends_with(".sql")) {
            found.push(path);
        }
    }
}

/// The sources of the rooms and the root; no tests and no migrations.
fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in ROOMS.iter().map(|(room, _)| root().join(room).join("src")).chain([root().join("src")]) {
        files(&folder, &mut paths);
    }
    assert!(paths.len() > 30, "only {} sources were found: it proves nothing", paths.len());
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let untested = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code = without_comments(untested);
            Source { path: path.strip_prefix(root()).unwrap().to_owned(), lines: untested.lines().count(), code }
        })
        .collect()
}

fn without_comments(text: &str) -> String {
    let is_comment = |line: &&str| !["//", "--"].iter().any(|mark| line.trim_start().starts_with(mark));
    text.lines().filter(is_comment).collect::<Vec<_>>().join("\n")
}

fn ddl(code: &str) -> Option<&'static str> {
    let words = code.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    DDL.into_iter().find(|statement| words.contains(statement))
}

fn impurity(code: &str) -> Option<&'static str> {
    IMPURE.into_iter().find(|mark| code.contains(mark))
}

#[test]
fn crates_depend_in_one_direction_and_libraries_stay_in_their_crates() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let mut names: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
    names.sort();
    let mut known: Vec<_> = ROOMS.iter().map(|(room, _)| *room).chain([ROOT, TESTKIT]).collect();
    known.sort();
    assert_eq!(names, known, "a package is in the workspace but in no room: give it its place in ROOMS");
    let violations: Vec<_> = packages.into_iter().flat_map(violations).collect();
    assert!(violations.is_empty(), "{violations:#?}");
}

/// Places at which a process can be made to die are there in tests alone.
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

#[test]
fn the_domain_reads_no_clock_and_generates_no_ids() {
    for source in sources().iter().filter(|source| source.path.starts_with("domain")) {
        let found = impurity(&source.code);
        assert!(found.is_none(), "{} uses {found:?}: time and ids arrive in commands", source.path.display());
    }
}

#[test]
fn environment_variables_are_read_in_the_root_only() {
    for source in sources().iter().filter(|source| !source.path.starts_with("src")) {
        let reads = source.code.contains("env::var");
        assert!(!reads, "{} reads the environment: take the setting as a parameter", source.path.display());
    }
}

#[test]
fn only_migrations_contain_ddl() {
    for source in sources() {
        let found = ddl(&source.code);
        assert!(found.is_none(), "{} has {found:?}: DDL belongs to migrations/", source.path.display());
    }
}

#[test]
fn a_source_has_one_subject() {
    for source in sources() {
        let lines = source.lines;
        assert!(lines <= MAX_LINES, "{} has {lines} lines without its tests: split it", source.path.display());
    }
}

/// Cargo looks for every target before it builds one: the image's build needs them all but the tests that no manifest
/// names.
#[test]
fn the_docker_build_context_includes_every_target() {
    let ignored = std::fs::read_to_string(root().join(".dockerignore")).unwrap();
    let taken: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for package in metadata().workspace_packages() {
        for target in package.targets.iter().filter(|target| !target.is_test()) {
            let path = target.src_path.as_std_path().strip_prefix(root()).unwrap();
            let first = path.iter().next().unwrap().to_string_lossy().into_owned();
            assert!(taken.contains(&first.as_str()), ".dockerignore leaves out {}: add !{first}", path.display());
        }
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for test in manifest.split("[[test]]\nname = \"").skip(1) {
        let folder = format!("tests/{}", test.split('"').next().unwrap());
        assert!(taken.contains(&folder.as_str()), ".dockerignore leaves out a test that is declared: add !{folder}");
    }
}

/// The controls of the tests above: what they look for, they find.
#[test]
fn the_checks_can_fail() {
    let normal = DependencyKind::Normal;
    for (package, dependency) in [
        ("domain", "streams"),
        ("streams", "commands"),
        ("commands", "projections"),
        ("projections", "commands"),
        ("projections", "api"),
        ("ingest", "streams"),
        ("ingest", "projections"),
        ("commands", "ingest"),
        ("api", "apex"),
        ("api", "sqlx"),
        ("commands", "sqlx-core"),
        ("ingest", "sqlx"),
        ("ingest", "clap"),
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
        assert!(forbidden(package, dependency, normal).is_some(), "{package} -> {dependency}");
    }
    for (package, dependency) in
        [("api", "commands"), ("api", "ingest"), ("apex", "sqlx"), ("streams", "rdkafka"), ("domain", "uuid")]
    {
        assert!(forbidden(package, dependency, normal).is_none(), "{package} -> {dependency}");
    }
    assert!(forbidden("apex", "rdkafka", DependencyKind::Development).is_none());
    assert!(forbidden("projections", "commands", DependencyKind::Development).is_some());
    assert!(forbidden("apex", "testkit", DependencyKind::Development).is_none());
    assert!(forbidden("projections", "testkit", DependencyKind::Development).is_some());
    assert!(forbidden("testkit", "apex", normal).is_none());

    assert_eq!(ddl("sqlx::query(\"CREATE  TABLE\n  x (y int)\")"), Some("create table"));
    assert_eq!(ddl(&without_comments("  // create table x\n-- alter table x\nselect 1")), None);
    assert_eq!(impurity("let at = Utc::now();"), Some("Utc::now"));
    let of_migrations = std::fs::read_to_string(root().join("migrations/0001_log.sql")).unwrap();
    assert!(ddl(&of_migrations).is_some());
}
