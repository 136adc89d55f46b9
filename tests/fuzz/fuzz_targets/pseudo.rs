#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("pseudo"),
    |data: &[u8]| credimg_fuzz::run("pseudo", data)
);
