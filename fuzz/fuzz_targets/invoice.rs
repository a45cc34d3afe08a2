#![no_main]
libfuzzer_sys::fuzz_target!(
    init: apex_fuzz::write_seeds("invoice"),
    |input: &[u8]| apex_fuzz::run("invoice", input)
);
