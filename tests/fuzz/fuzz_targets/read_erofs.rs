#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::read_erofs::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::read_erofs::TARGET.run(data)
);
