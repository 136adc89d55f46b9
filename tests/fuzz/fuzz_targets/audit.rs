#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::audit::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::audit::TARGET.run(data)
);
