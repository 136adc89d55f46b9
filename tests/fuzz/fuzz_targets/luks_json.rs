#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("luks_json"),
    |data: &[u8]| credimg_fuzz::run("luks_json", data)
);
