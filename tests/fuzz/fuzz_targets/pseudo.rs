#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::pseudo::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::pseudo::TARGET.run(data)
);
