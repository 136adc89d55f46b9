//! The volume label of a machine: as it is given, or made of the machine's name.

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

/// The labels by which guests' programs find what they look for: every machine may have them.
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

/// Longest label that is made, in bytes: as long as a serial of virtio (virtio 1.2, 5.2.6).
const MADE_MAX_BYTES: usize = 20;

/// The label of a machine for which nobody gives one.
pub(super) fn standard(machine: &Machine) -> At<Text> {
    At { value: fitted(&machine.name), at: machine.position.clone() }
}

/// Whether a label is made of what stands in the place of placeholders.
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

/// The text in upper case, with `-` in place of what no label holds, cut to what a drive's serial
/// holds, which is made of it.
pub(super) fn fitted(text: &str) -> Text {
    let fitted = |letter: char| match u8::try_from(letter) {
        Ok(byte) if is_of_label(byte) => letter.to_ascii_uppercase(),
        Ok(_) | Err(_) => '-',
    };
    Zeroizing::new(text.chars().map(fitted).take(MADE_MAX_BYTES).collect())
}

impl Label {
    /// The label on an image of this format: one that is made is cut to what the format holds.
    pub(crate) fn on(&self, format: Format, has_joliet: bool) -> &str {
        let max_bytes = label_max_bytes(format, has_joliet);
        let cut = self.text.get(..max_bytes).filter(|_| self.is_made);
        cut.unwrap_or(&self.text)
    }
}

/// The labels of the machines so far, to find two that have one.
pub(super) struct Labels<'a> {
    /// The machine that has a label first, by the label in lower case, as serials have it, and
    /// whether it was told that another one has it.
    taken: HashMap<String, (&'a Machine, bool)>,
    /// What the output's name tells of the format.
    extension_format: Option<Format>,
}

impl<'a> Labels<'a> {
    pub(super) fn new(output: Option<&Template>) -> Self {
        let extension_format = output.and_then(|output| Format::of_extension(output.extension()?));
        Self { taken: HashMap::new(), extension_format }
    }

    /// A problem where another machine has the label of this one. The format that nothing in the
    /// manifest tells is one that cuts no label.
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
        // The second machine with a label is told of, further ones are not.
        let (first, is_told) =
            self.taken.entry(text.to_ascii_lowercase()).or_insert((machine, true));
        if std::mem::replace(is_told, !std::ptr::eq(*first, machine)) {
            return Ok(());
        }
        Err(same(first, machine, label, format.filter(|_| is_cut), has_joliet))
    }
}

/// The problem that two machines have one label; it was cut where a format is given.
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
