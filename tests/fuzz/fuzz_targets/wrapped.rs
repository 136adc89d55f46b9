#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::wrapped::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::wrapped::TARGET.run(data)
);
