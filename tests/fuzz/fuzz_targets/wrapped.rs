#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("wrapped"),
    |data: &[u8]| credimg_fuzz::run("wrapped", data)
);
