#![no_main]
libfuzzer_sys::fuzz_target!(
    init: apex_fuzz::write_seeds("langfuse_batch"),
    |input: &[u8]| apex_fuzz::run("langfuse_batch", input)
);
