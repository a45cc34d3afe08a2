//! The log under faults. Clients outside of what is struck write down what they asked, what they were told and what
//! they read; one checker holds that against the log.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod checker;
mod history;
mod planted;

use libtest_mimic::{Arguments, Trial};

/// Trials by name.
pub(crate) type Trials = &'static [(&'static str, fn())];

/// Lists functions as trials under their names.
macro_rules! trials {
    ($($name:ident),+ $(,)?) => { &[$((stringify!($name), $name as fn())),+] };
}
pub(crate) use trials;

fn main() {
    let lists = [planted::TRIALS];
    let trials = lists.into_iter().flatten().map(|(name, trial)| {
        Trial::test(*name, move || {
            trial();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
