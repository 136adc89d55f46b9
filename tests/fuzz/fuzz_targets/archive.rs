#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::archive::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::archive::TARGET.run(data)
);
