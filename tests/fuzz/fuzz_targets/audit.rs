#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("audit"),
    |data: &[u8]| credimg_fuzz::run("audit", data)
);
