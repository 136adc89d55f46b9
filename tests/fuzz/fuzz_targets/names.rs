#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::names::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::names::TARGET.run(data)
);
