//! Apex.
fn main() {}
