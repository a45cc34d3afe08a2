//! Tests of binaries with `harness = false`, whose own `main` also serves as a worker process of the tests.

use libtest_mimic::{Arguments, Conclusion, Trial};

/// Test functions by name, as the macro [`trials!`](crate::trials!) lists them.
pub type Trials = &'static [(&'static str, fn())];

/// Lists test functions for [`run_trials`](crate::run_trials); each test has the name of its function.
#[macro_export]
macro_rules! trials {
    ($($name:ident),+ $(,)?) => { &[$((stringify!($name), $name as fn())),+] };
}

/// Runs the tests that the arguments of this process select. The caller cleans up before it exits with the conclusion.
pub fn run_trials(lists: impl IntoIterator<Item = Trials>) -> Conclusion {
    let trials = lists.into_iter().flatten().map(|(name, trial)| {
        Trial::test(*name, move || {
            trial();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect())
}
