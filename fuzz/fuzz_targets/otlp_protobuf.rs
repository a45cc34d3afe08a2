#![no_main]
libfuzzer_sys::fuzz_target!(
    init: apex_fuzz::write_seeds("otlp_protobuf"),
    |input: &[u8]| apex_fuzz::run("otlp_protobuf", input)
);
