//! The volume label of a machine: as given, or made of the machine's name.

use std::collections::HashMap;

use credimg_formats::Format;
use zeroize::Zeroizing;

use super::super::error::Fault;
use super::super::mapping::At;
use super::super::node::Text;
use super::super::resolved::Label;
use super::super::values::{is_of_label, label_max_bytes};
use super::placeholders::{self, Piece};
use super::{Machine, Template};
use crate::report::Problem;

/// Labels by which programs of guests find their disks. Every machine may have such a label.
pub(crate) const PROTOCOLS: [&str; 9] = [
    "cidata",
    "CIDATA",
    "config-2",
    "CONFIG-2",
    "OEMDRV",
    "ignition",
    "IGNITION",
    "combustion",
    "COMBUSTION",
];

/// Longest label that is made, in bytes: as many as a serial of virtio has (virtio 1.2, 5.2.6).
const MADE_MAX_BYTES: usize = 20;

/// The label of a machine that is given none: made of its name.
pub(super) fn standard(machine: &Machine) -> At<Text> {
    At { value: fitted(&machine.name), at: machine.position.clone() }
}

/// Whether this label has placeholders.
pub(super) fn is_made(text: &str) -> bool {
    let mut is_made = false;
    let found = placeholders::pieces(text, |piece| {
        is_made |= match piece {
            Piece::Machine | Piece::Variable(_) => true,
            Piece::Literal(_) => false,
        };
        Ok(())
    });
    found.is_ok() && is_made
}

/// A label made of `text`: in upper case, with `-` for what no label can hold, and cut to the
/// length of a drive's serial, which is made of the label.
pub(super) fn fitted(text: &str) -> Text {
    let fitted = |letter: char| match u8::try_from(letter) {
        Ok(byte) if is_of_label(byte) => letter.to_ascii_uppercase(),
        Ok(_) | Err(_) => '-',
    };
    Zeroizing::new(text.chars().map(fitted).take(MADE_MAX_BYTES).collect())
}

impl Label {
    /// The label for an image of this format. A label that was made is cut to what the format
    /// holds.
    pub(crate) fn on(&self, format: Format, has_joliet: bool) -> &str {
        let max_bytes = label_max_bytes(format, has_joliet);
        let cut = self.text.get(..max_bytes).filter(|_| self.is_made);
        cut.unwrap_or(&self.text)
    }
}

/// The labels of the machines so far, to find two machines with the same one.
pub(super) struct Labels<'a> {
    /// By label: the first machine that has it, and whether a second one was told. Labels are in
    /// lower case here, as serials have them.
    taken: HashMap<String, (&'a Machine, bool)>,
    /// The format that the output's extension names.
    extension_format: Option<Format>,
}

impl<'a> Labels<'a> {
    pub(super) fn new(output: Option<&Template>) -> Self {
        let extension_format = output.and_then(|output| Format::of_extension(output.extension()?));
        Self { taken: HashMap::new(), extension_format }
    }

    /// A problem where another machine has the same label. Where neither the manifest nor the
    /// output's name tells the format, labels are compared uncut.
    pub(super) fn add(
        &mut self,
        machine: &'a Machine,
        label: &Label,
        format: Option<Format>,
        has_joliet: bool,
    ) -> Result<(), Problem> {
        if !label.is_made && PROTOCOLS.contains(&label.text.as_str()) {
            return Ok(());
        }
        let format = format.or(self.extension_format);
        let text = format.map_or(&*label.text, |format| label.on(format, has_joliet));
        let is_cut = text.len() < label.text.len();
        // Only the second machine with a label is told, not further ones.
        let (first, is_told) =
            self.taken.entry(text.to_ascii_lowercase()).or_insert((machine, true));
        if std::mem::replace(is_told, !std::ptr::eq(*first, machine)) {
            return Ok(());
        }
        Err(same(first, machine, label, format.filter(|_| is_cut), has_joliet))
    }
}

/// The problem that two machines have the same label. `format` is given where the label was cut for
/// it.
fn same(
    first: &Machine,
    machine: &Machine,
    label: &Label,
    format: Option<Format>,
    has_joliet: bool,
) -> Problem {
    let place = |machine: &Machine| format!("{} (line {})", machine.name, machine.position.line);
    let message = format!("{} and {} have one label", place(first), place(machine));
    let hint = match format {
        Some(format) => format!(
            "it is cut to the {} bytes that {} holds: `label` of a machine gives it another",
            label_max_bytes(format, has_joliet),
            format.name()
        ),
        None if label.is_made => "`label` of a machine gives it another".to_owned(),
        None => "`label: \"{machine}\"` gives each its own".to_owned(),
    };
    Fault::new(message).hint(hint).at(&label.position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_made_of_what_labels_hold() {
        for (text, expected) in [
            ("chimera-01", "CHIMERA-01"),
            ("a b/c_d.e", "A-B-C_D.E"),
            ("\u{e4}", "-"),
            ("", ""),
            ("0123456789012345678901234567890123", "01234567890123456789"),
        ] {
            assert_eq!(fitted(text).as_str(), expected);
        }
        assert!(is_made("{machine}") && is_made("a{vars.b}"));
        assert!(!is_made("a") && !is_made("{{machine}}") && !is_made("{"));
    }
}
