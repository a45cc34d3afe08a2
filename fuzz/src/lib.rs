//! The targets that the tests of `ingest` run too, by name.

#[path = "../../ingest/tests/fuzz/protobuf.rs"]
mod protobuf;
#[path = "../../ingest/tests/fuzz/seeds.rs"]
mod seeds;
#[path = "../../ingest/tests/fuzz/targets.rs"]
mod targets;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

/// Runs a target on an input. Panics if a property does not hold.
pub fn run(name: &str, input: &[u8]) {
    let known = targets::TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = known.unwrap_or_else(|| panic!("{name} is no target"));
    target(input);
}

/// Writes what a target starts from into the folder `APEX_FUZZ_SEEDS`, if that is set: its seeds, and the names that readers
/// look for as a dictionary. libFuzzer reads both after this.
pub fn write_seeds(name: &str) {
    let Some(folder) = env::var_os("APEX_FUZZ_SEEDS").map(PathBuf::from) else { return };
    let of_target = folder.join(name);
    fs::create_dir_all(&of_target).expect("the folder of the seeds can be made");
    for (number, seed) in seeds::of_target(name).iter().enumerate() {
        fs::write(of_target.join(format!("seed-{number:03}")), seed).expect("a seed can be written");
    }
    let mut dictionary = String::new();
    for word in seeds::dictionary() {
        let escaped: String = word.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        writeln!(dictionary, "\"{escaped}\"").expect("a string can be written to");
    }
    fs::write(folder.join("dictionary"), dictionary).expect("the dictionary can be written");
}
