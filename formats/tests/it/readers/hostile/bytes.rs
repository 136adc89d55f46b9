//! An image as text: its length, and each line of 32 bytes that are not all zero.

use std::fmt::Write;

const LINE_BYTES: usize = 32;

/// The text of an image, and before it the outcome that is expected of it.
pub(super) fn to_text(expected: &str, image: &[u8]) -> String {
    let mut text = format!("expect: {expected}\nsize: {}\n", image.len());
    for (number, line) in image.chunks(LINE_BYTES).enumerate() {
        if line.iter().all(|byte| *byte == 0) {
            continue;
        }
        write!(text, "{:x}:", number * LINE_BYTES).unwrap();
        for byte in line {
            write!(text, " {byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}

/// What was expected, and the image.
pub(super) fn from_text(text: &str) -> (String, Vec<u8>) {
    let (mut expected, mut image) = (String::new(), Vec::new());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (head, rest) = line.split_once(':').unwrap();
        match head {
            "expect" => rest.trim().clone_into(&mut expected),
            "size" => image.resize(rest.trim().parse().unwrap(), 0),
            _ => {
                let start = usize::from_str_radix(head, 16).unwrap();
                for (at, byte) in (start..).zip(rest.split_whitespace()) {
                    image[at] = u8::from_str_radix(byte, 16).unwrap();
                }
            }
        }
    }
    (expected, image)
}

#[test]
fn an_image_is_the_one_of_its_text() {
    let mut image = vec![0; 1000];
    image[999] = 7;
    image[64..70].copy_from_slice(b"abcdef");
    let text = to_text("Corrupt: x: y", &image);
    assert_eq!(text.lines().count(), 4);
    assert_eq!(from_text(&text), ("Corrupt: x: y".to_owned(), image));
}
