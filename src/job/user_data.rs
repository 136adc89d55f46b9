//! What cloud-init makes of user-data by how it begins (`convert_string` of its
//! `user_data.py`, `type_from_starts_with` of its handlers).

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use zeroize::Zeroizing;

/// What is looked at of compressed data. What is longer when unpacked gets no verdict.
const UNPACKED_MAX_BYTES: u64 = 16 << 20;
/// Where MIME's header is looked for.
const MIME_MAX_BYTES: usize = 4096;

/// The beginnings that cloud-init knows, in lower case: after white space, and in either case.
const KNOWN: [&str; 9] = [
    "#!",
    // Also -archive and -jsonp.
    "#cloud-config",
    "#cloud-boothook",
    // Also -once.
    "#include",
    "#part-handler",
    "## template: jinja",
    // For parts of a MIME message, but taken here as well.
    "text/x-shellscript-per-boot",
    "text/x-shellscript-per-instance",
    "text/x-shellscript-per-once",
];

/// What others take from such volumes: cloudbase-init scripts for Windows.
const OTHERS: [&str; 4] = ["#ps1", "rem cmd", "<powershell>", "<script>"];

/// Why cloud-init passes over user-data of this content, to follow "it"; none where
/// it does not, and where there is nothing.
pub(crate) fn fault(content: &[u8]) -> Option<&'static str> {
    let content = unpacked(content)?;
    if content.is_empty() {
        return None;
    }
    // Only how it begins has to be text.
    let text = String::from_utf8_lossy(&content);
    let head = content.get(..MIME_MAX_BYTES).unwrap_or(&content).to_ascii_lowercase();
    let is_mime = Zeroizing::new(head).windows(13).any(|window| window == b"mime-version:");
    if is_mime { fault_of_message(&text) } else { fault_of_text(&text) }
}

/// Why cloud-init passes over this MIME message: what says its type is taken, and else its
/// body counts.
fn fault_of_message(text: &str) -> Option<&'static str> {
    let is_header = |line: &str| {
        let name = line.split(':').next().unwrap_or_default();
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        line.starts_with([' ', '\t']) || is_name && name.len() < line.len()
    };
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        let lower = line.trim_end().to_ascii_lowercase();
        let is_first = length == 0;
        if !(is_header(&lower) || is_first && lower.starts_with("from ")) {
            // An empty line is no part of the body, any other is.
            length += if lower.is_empty() { line.len() } else { 0 };
            break;
        }
        let value = lower.strip_prefix("content-type:").map(str::trim_start);
        let has_type = value.is_some_and(|value| !value.starts_with("text/plain"));
        if has_type || lower.starts_with("content-transfer-encoding:") {
            return None;
        }
        length += line.len();
    }
    let body = text.get(length..).unwrap_or_default();
    if body.is_empty() { None } else { fault_of_text(body) }
}

fn fault_of_text(text: &str) -> Option<&'static str> {
    let begins = |text: &str, start: &str| {
        text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
    };
    let start = text.trim_start_matches(is_space);
    if KNOWN.iter().chain(&OTHERS).any(|known| begins(start, known)) || is_ignition(start) {
        return None;
    }
    if start.starts_with(char::REPLACEMENT_CHARACTER) {
        return Some("is neither text in UTF-8 nor gzip of such a text");
    }
    if start.starts_with('\u{feff}') {
        return Some("begins with a byte order mark");
    }
    if start.starts_with("---") {
        return Some("begins with `---`");
    }
    Some("begins with a line that it does not know")
}

/// The content itself, or what is in it where it is gzip data; none where that is too much.
fn unpacked(content: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !content.starts_with(&[0x1f, 0x8b]) {
        return Some(Cow::Borrowed(content));
    }
    let mut unpacked = Vec::new();
    let mut reader = MultiGzDecoder::new(content).take(UNPACKED_MAX_BYTES + 1);
    match reader.read_to_end(&mut unpacked) {
        // Which cloud-init then takes as it is.
        Err(_) => Some(Cow::Borrowed(content)),
        Ok(_) if unpacked.len() as u64 > UNPACKED_MAX_BYTES => None,
        Ok(_) => Some(Cow::Owned(unpacked)),
    }
}

/// Ignition takes its configuration from the same places.
fn is_ignition(start: &str) -> bool {
    start.starts_with('{') && start.contains("\"ignition\"")
}

/// White space as Python's `str.lstrip` sees it: that of Unicode and four separators.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}
