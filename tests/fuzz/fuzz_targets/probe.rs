#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::probe::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::probe::TARGET.run(data)
);
