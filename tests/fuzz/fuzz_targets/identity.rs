#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::identity::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::identity::TARGET.run(data)
);
