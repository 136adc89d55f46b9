#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::dates::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::dates::TARGET.run(data)
);
