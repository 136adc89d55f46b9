#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("identity"),
    |data: &[u8]| credimg_fuzz::run("identity", data)
);
