#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::mounts::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::mounts::TARGET.run(data)
);
