#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::dependencies::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::dependencies::TARGET.run(data)
);
