#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::arguments::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::arguments::TARGET.run(data)
);
