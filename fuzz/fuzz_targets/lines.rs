#![no_main]
libfuzzer_sys::fuzz_target!(
    init: apex_fuzz::write_seeds("lines"),
    |input: &[u8]| apex_fuzz::run("lines", input)
);
