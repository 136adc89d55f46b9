#![no_main]

libfuzzer_sys::fuzz_target!(
    init: credimg_fuzz::own_machine::TARGET.begin(),
    |data: &[u8]| credimg_fuzz::own_machine::TARGET.run(data)
);
