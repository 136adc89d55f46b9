//! `credimg dump`: every byte in one line, and nothing of what files hold.

use std::fs;

use crate::look::done;
use crate::look::images::{Image, Images};

/// Adds up the lines: each begins where the one before it ended.
fn covered(lines: &str) -> u64 {
    let mut end = 0;
    for line in lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (offset, rest) = line.split_once(' ').unwrap();
        assert_eq!(u64::from_str_radix(offset, 16).unwrap(), end, "{line}");
        end += rest.trim_start().split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    end
}

/// Every byte stands in one line, and no content is shown.
pub(crate) fn check(images: &Images, image: &Image) {
    let arguments = [&["dump", image.name], image.key].concat();
    let text = String::from_utf8(done(images.directory(), &arguments)).unwrap();
    let size_bytes = fs::metadata(images.path(image.name)).unwrap().len();
    // The second listing is that of what is inside.
    let (outside, inside) =
        text.split_once("# inside the encryption").unwrap_or((text.as_str(), ""));
    assert_eq!(covered(outside), size_bytes, "{}", image.name);
    assert_eq!(!inside.is_empty(), !image.key.is_empty(), "{}", image.name);
    if !inside.is_empty() {
        let inside = inside.split_once('\n').unwrap().1;
        let payload_bytes = if image.name == "locked.sqfs" { 2 << 20 } else { 1 << 20 };
        assert_eq!(covered(inside), size_bytes - payload_bytes, "{}", image.name);
    }
    assert!(text.contains("motd") || image.name.ends_with("sqfs"), "{}", image.name);
    for content in ["hunter2", "hello", "a value"] {
        assert!(!text.contains(content), "{}: {content}", image.name);
    }
    assert!(text.contains("sha256 "), "{}", image.name);
    let hidden = done(images.directory(), &[&arguments[..], &["--no-digests"]].concat());
    assert!(!String::from_utf8(hidden).unwrap().contains("sha256 "), "{}", image.name);
    if !image.key.is_empty() {
        let closed = done(images.directory(), &["dump", image.name]);
        assert_eq!(
            String::from_utf8(closed).unwrap(),
            outside.trim_end_matches('\n').to_owned() + "\n"
        );
    }
}
