//! Dates: those of pseudo definitions and of manifests, as text and back.

use credimg::fuzzing;
use credimg_formats::DateTime;

use super::Target;
use super::input::Input;

pub const TARGET: Target =
    Target { name: "dates", max_bytes: 256, memory_max_bytes: 1 << 20, run, seeds };

fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Some(seconds) = fuzzing::pseudo_date(text) {
            come_back(seconds);
        }
        if let Some(seconds) = fuzzing::manifest_time(text) {
            let shown = fuzzing::shown_time(seconds);
            // Seconds alone are shown behind an `@`, by which nothing is read.
            let read = shown.strip_prefix('@').unwrap_or(&shown);
            assert_eq!(fuzzing::manifest_time(read), Some(seconds), "{shown}");
        }
    }
    come_back(Input(data).word());
}

/// Each way to write a date means these seconds.
fn come_back(seconds: u32) {
    let date = DateTime::from_seconds(seconds.into()).expect("a date of the first 136 years");
    assert_eq!(date.seconds(), Some(seconds.into()));
    let DateTime { year, month, day, hour, minute, second } = date;
    let name = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        [usize::from(month) - 1];
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    for text in [
        format!("@{seconds}"),
        format!("{year:04}-{month:02}-{day:02} {time}"),
        format!("{year:04}-{month:02}-{day:02}T{time}Z"),
        format!("{day} {name} {year:04} {time} UTC"),
        format!("{name} {day}, {year:04} {hour}:{minute:02}:{second:02} +00:00"),
        format!("{year:04}-{month:02}-{day:02} {time}-0000"),
    ] {
        assert_eq!(fuzzing::pseudo_date(&text), Some(seconds), "{text}");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "@4294967295",
        "1 jan 1980",
        "Jan 1, 1980",
        "29 feb 2024 12:34:56",
        "2024-02-29T12:34:56Z",
        "2024-02-29 14:34:56+02:00",
        "2024-02-29 07:04:56 -0530",
        "9999-12-31T23:59:59Z",
        "-1",
        "253402300800",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
