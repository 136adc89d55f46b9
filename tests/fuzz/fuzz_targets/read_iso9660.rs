#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::begin("read_iso9660"),
    |data: &[u8]| credimg_fuzz::run("read_iso9660", data)
);
