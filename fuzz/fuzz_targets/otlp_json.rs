#![no_main]
libfuzzer_sys::fuzz_target!(
    init: apex_fuzz::write_seeds("otlp_json"),
    |input: &[u8]| apex_fuzz::run("otlp_json", input)
);
