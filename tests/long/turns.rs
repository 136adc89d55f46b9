//! Many builders in one directory, see `tests/turns.rs`.

use crate::builders::Builders;

#[test]
fn hundreds_of_images_are_built_at_once_on_a_slow_disk() {
    let builders = Builders::new();
    let slow: Vec<_> = (1..=250).map(|number| builders.build_slowly(number, 1_000)).collect();
    for (number, output, child) in slow {
        assert!({ child }.wait().unwrap().success(), "{number}");
        assert_eq!(Builders::whole_set(&output), number);
    }
    assert!(builders.temporaries().is_empty());
}

#[test]
fn of_a_thousand_builders_of_one_image_one_wins_with_its_whole_set() {
    Builders::new().race(1_000, 250);
}
