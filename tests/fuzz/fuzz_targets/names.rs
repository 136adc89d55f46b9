#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("names"),
    |data: &[u8]| credimg_fuzz::run("names", data)
);
