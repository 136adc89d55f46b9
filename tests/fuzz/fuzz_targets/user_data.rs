#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("user_data"),
    |data: &[u8]| credimg_fuzz::run("user_data", data)
);
