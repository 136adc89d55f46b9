#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::writers::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::writers::TARGET.run(data)
);
