#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::luks::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::luks::TARGET.run(data)
);
