#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::read_iso9660::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::read_iso9660::TARGET.run(data)
);
