#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("dependencies"),
    |data: &[u8]| credimg_fuzz::run("dependencies", data)
);
