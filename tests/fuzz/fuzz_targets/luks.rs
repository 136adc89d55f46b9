#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("luks"),
    |data: &[u8]| credimg_fuzz::run("luks", data)
);
