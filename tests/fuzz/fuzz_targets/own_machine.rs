#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("own_machine"),
    |data: &[u8]| credimg_fuzz::run("own_machine", data)
);
