//! Rules about the content and the size of single files.

use crate::sources::{files, root, sources, without_comment_lines};
use std::path::Path;

/// Text by which code of the domain would have effects or depend on its environment.
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

/// Statements that define a database.
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

/// The longest file, in lines without its tests. A longer one has more than one subject.
const MAX_FILE_LINES: usize = 400;
/// Longer files, from before this rule. The list only shrinks.
const LONG_FILES: &[&str] = &[];
/// The longest function, in lines of code as clippy counts them.
const MAX_FUNCTION_LINES: usize = 70;

fn ddl(code: &str) -> Option<&'static str> {
    let words = code.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    DDL.into_iter().find(|statement| words.contains(statement))
}

fn impurity(code: &str) -> Option<&'static str> {
    IMPURE.into_iter().find(|mark| code.contains(mark))
}

#[test]
fn the_domain_reads_no_clock_and_generates_no_ids() {
    for source in sources().iter().filter(|source| source.path.starts_with("domain")) {
        let found = impurity(&source.code);
        assert!(found.is_none(), "{} uses {found:?}: commands carry times and ids", source.path.display());
    }
}

/// What the API asks the log for, all tenants together: its end, the position of a time, and to be woken. It passes the log on to what operators do
/// with read models.
const USES_OF_THE_LOG: [&str; 7] =
    [".head()", ".seconds_behind(", ".position_at(", ".tail();", ".of_tenants(", ".clone()", ","];
/// Readers of the tail of the log that return the events of all tenants.
const READERS_OF_ALL_TENANTS: [&str; 3] = ["tail.read_after(", "tail.next_after(", "ReadFilter"];

/// How code of the API reads the events of all tenants, if it does.
fn reads_all_tenants(code: &str) -> Option<String> {
    let uses = code.split("commands.log()").skip(1);
    let other = uses.filter(|rest| !USES_OF_THE_LOG.iter().any(|allowed| rest.trim_start().starts_with(allowed)));
    let other = other.map(|rest| rest.chars().take(40).collect::<String>()).next();
    other.or_else(|| READERS_OF_ALL_TENANTS.into_iter().find(|reader| code.contains(reader)).map(str::to_owned))
}

#[test]
fn the_api_reads_the_log_with_an_access_only() {
    let mut uses = 0;
    for source in sources().iter().filter(|source| source.path.starts_with("api")) {
        uses += source.code.matches("commands.log()").count();
        let found = reads_all_tenants(&source.code);
        assert!(found.is_none(), "{} uses {found:?}: read with an access", source.path.display());
    }
    assert!(uses > 0, "the API has no log any more, so that nothing is checked");
    // Control: readers without an access are found.
    for planted in [
        "services.commands.log().read_stream(&key, version, 10)",
        "let log = services.commands.log();",
        "let tail = services.commands.log().tail(); tail.next_after(after, 10)",
        "TenantFilter { filter: ReadFilter::default() }",
    ] {
        assert!(reads_all_tenants(planted).is_some(), "{planted}");
    }
}

#[test]
fn environment_variables_are_read_in_the_root_only() {
    for source in sources().iter().filter(|source| !source.path.starts_with("src")) {
        let reads = source.code.contains("env::var");
        assert!(!reads, "{} reads the environment: make the setting a parameter", source.path.display());
    }
}

#[test]
fn only_migrations_contain_ddl() {
    for source in sources() {
        let found = ddl(&source.code);
        assert!(found.is_none(), "{} contains {found:?}: DDL belongs in migrations/", source.path.display());
    }
}

/// The rule that a file's length violates, if any.
fn length_violation(path: &str, lines: usize, long_files: &[&str]) -> Option<String> {
    match (lines > MAX_FILE_LINES, long_files.contains(&path)) {
        (true, false) => {
            Some(format!("{path} has {lines} lines without its tests, {MAX_FILE_LINES} at most: split it"))
        }
        (false, true) => Some(format!("{path} has {lines} lines: remove it from LONG_FILES")),
        (true, true) | (false, false) => None,
    }
}

#[test]
fn files_are_not_too_long() {
    let sources = sources();
    let lengths = sources.iter().map(|source| (source.path.to_str().unwrap(), source.lines));
    let violations: Vec<_> = lengths.filter_map(|(path, lines)| length_violation(path, lines, LONG_FILES)).collect();
    assert!(violations.is_empty(), "{violations:#?}");
    for path in LONG_FILES {
        assert!(root().join(path).exists(), "{path} does not exist any more: remove it from LONG_FILES");
    }
}

/// How a configuration of clippy fails to limit the length of functions, if it does.
fn function_length_violation(clippy_toml: &str, manifest: &str) -> Option<String> {
    let threshold = clippy_toml.lines().find_map(|line| line.strip_prefix("too-many-lines-threshold = "));
    let Some(threshold) = threshold.and_then(|threshold| threshold.parse::<usize>().ok()) else {
        return Some("clippy.toml sets no too-many-lines-threshold".to_owned());
    };
    if threshold > MAX_FUNCTION_LINES {
        return Some(format!("clippy.toml allows functions of {threshold} lines, {MAX_FUNCTION_LINES} at most"));
    }
    let is_on = manifest.lines().any(|line| line == "too_many_lines = \"warn\"");
    (!is_on).then(|| "Cargo.toml does not enable clippy's too_many_lines".to_owned())
}

/// Clippy, with warnings denied, refuses long functions.
#[test]
fn clippy_limits_the_length_of_functions_everywhere() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    assert_eq!(function_length_violation(&read("clippy.toml"), &read("Cargo.toml")), None);
    for source in sources() {
        let allows = source.code.contains("too_many_lines");
        assert!(!allows, "{} allows long functions: split them", source.path.display());
    }
    // Those that are no members of the workspace have no lints of it.
    let is_member = |path: &&std::path::PathBuf| !path.starts_with("benches") && !path.starts_with("fuzz");
    for manifest in files(root(), &["Cargo.toml"]).iter().filter(is_member) {
        let text = read(manifest.to_str().unwrap());
        assert!(text.contains("[lints]\nworkspace = true"), "{} does not use the lints", manifest.display());
    }
}

/// Cargo looks for the files of all targets before it builds one, except for tests that no manifest declares.
#[test]
fn the_docker_build_context_includes_every_target() {
    let ignored = std::fs::read_to_string(root().join(".dockerignore")).unwrap();
    let included: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for package in crate::metadata().workspace_packages() {
        for target in package.targets.iter().filter(|target| !target.is_test()) {
            let path = target.src_path.as_std_path().strip_prefix(root()).unwrap();
            let first = path.iter().next().unwrap().to_string_lossy().into_owned();
            assert!(included.contains(&first.as_str()), ".dockerignore excludes {}: add !{first}", path.display());
        }
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for test in manifest.split("[[test]]\nname = \"").skip(1) {
        let folder = format!("tests/{}", test.split('"').next().unwrap());
        assert!(included.contains(&folder.as_str()), ".dockerignore excludes a declared test: add !{folder}");
    }
}

/// The controls of the rules in this file.
#[test]
fn planted_violations_are_detected() {
    assert_eq!(ddl("sqlx::query(\"CREATE  TABLE\n  x (y int)\")"), Some("create table"));
    assert_eq!(ddl(&without_comment_lines("  // create table x\n-- alter table x\nselect 1")), None);
    let migration = std::fs::read_to_string(root().join(Path::new("migrations/0001_log.sql"))).unwrap();
    assert!(ddl(&migration).is_some());
    assert_eq!(impurity("let at = Utc::now();"), Some("Utc::now"));

    assert!(length_violation("src/a.rs", MAX_FILE_LINES, &[]).is_none());
    assert!(length_violation("src/a.rs", MAX_FILE_LINES + 1, &[]).is_some());
    assert!(length_violation("src/a.rs", MAX_FILE_LINES + 1, &["src/a.rs"]).is_none());
    assert!(length_violation("src/a.rs", MAX_FILE_LINES, &["src/a.rs"]).is_some());

    let (limit, lint) = (format!("too-many-lines-threshold = {MAX_FUNCTION_LINES}"), "too_many_lines = \"warn\"");
    assert!(function_length_violation(&limit, lint).is_none());
    assert!(function_length_violation("too-many-lines-threshold = 100", lint).is_some());
    assert!(function_length_violation("", lint).is_some());
    assert!(function_length_violation(&limit, "too_many_lines = \"allow\"").is_some());
}
