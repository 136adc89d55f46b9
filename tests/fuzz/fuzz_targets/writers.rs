#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("writers"),
    |data: &[u8]| credimg_fuzz::run("writers", data)
);
