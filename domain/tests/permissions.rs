//! The matrix in `docs/permissions.md` is the permission table.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::permissions::{Permission, Role};
use std::path::Path;

/// The rows of the matrix, in Markdown: a permission each, with a mark for each role that has it.
fn matrix(is_of: impl Fn(Permission, Role) -> bool) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let header = std::iter::once("permission".to_owned()).chain(Role::ALL.map(|role| role.to_string())).collect();
    let rule = std::iter::once("---").chain(Role::ALL.map(|_| ":---:")).map(str::to_owned).collect();
    let permissions = Permission::all().map(|permission| {
        let marks = Role::ALL.map(|role| if is_of(permission, role) { "●" } else { "" }.to_owned());
        row(std::iter::once(format!("`{permission}`")).chain(marks).collect())
    });
    [row(header), row(rule)].into_iter().chain(permissions).collect()
}

#[test]
fn the_document_has_the_permission_table() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/permissions.md");
    let document = std::fs::read_to_string(document).unwrap();
    let matrix = matrix(Permission::is_of);
    assert!(document.contains(&matrix), "docs/permissions.md lacks this matrix:\n\n{matrix}");
}

/// The control: a table that differs in one cell gives another matrix.
#[test]
fn a_changed_cell_changes_the_matrix() {
    let changed: Permission = "command:identities".parse().unwrap();
    let planted =
        matrix(|permission, role| permission.is_of(role) || (permission == changed && role == Role::Operator));
    assert_ne!(planted, matrix(Permission::is_of));
}
