#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("manifest"),
    |data: &[u8]| credimg_fuzz::run("manifest", data)
);
