//! Rebuilds the program when a migration changes: migrations are compiled in.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
