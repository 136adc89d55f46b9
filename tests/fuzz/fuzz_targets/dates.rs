#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("dates"),
    |data: &[u8]| credimg_fuzz::run("dates", data)
);
