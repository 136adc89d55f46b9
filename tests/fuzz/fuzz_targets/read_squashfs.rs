#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::read_squashfs::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::read_squashfs::TARGET.run(data)
);
