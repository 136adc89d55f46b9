#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::user_data::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::user_data::TARGET.run(data)
);
