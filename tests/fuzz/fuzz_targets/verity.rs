#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::verity::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::verity::TARGET.run(data)
);
