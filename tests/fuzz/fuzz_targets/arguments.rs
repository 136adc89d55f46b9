#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("arguments"),
    |data: &[u8]| credimg_fuzz::run("arguments", data)
);
