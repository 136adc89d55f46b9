#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("probe"),
    |data: &[u8]| credimg_fuzz::run("probe", data)
);
