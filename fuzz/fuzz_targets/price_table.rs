#![no_main]
libfuzzer_sys::fuzz_target!(
    init: apex_fuzz::write_seeds("price_table"),
    |input: &[u8]| apex_fuzz::run("price_table", input)
);
