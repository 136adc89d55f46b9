#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("archive"),
    |data: &[u8]| credimg_fuzz::run("archive", data)
);
