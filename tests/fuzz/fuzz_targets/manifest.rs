#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::manifest::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::manifest::TARGET.run(data)
);
