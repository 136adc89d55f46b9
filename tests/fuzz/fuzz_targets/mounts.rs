#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("mounts"),
    |data: &[u8]| credimg_fuzz::run("mounts", data)
);
