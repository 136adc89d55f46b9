//! Options that take more values than can be listed, and the values that a shell offers for them.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command, Error};

use crate::job::wishes::NamedMachine;
use crate::monitors::MachineType;

/// What reads the values, and those that are offered.
#[derive(Clone)]
struct Suggested<P> {
    parser: P,
    values: &'static [&'static str],
}

impl<P: TypedValueParser> TypedValueParser for Suggested<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, Error> {
        self.parser.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.values.iter().map(PossibleValue::new)))
    }
}

const MACHINES: &[&str] =
    &["pc", "q35", "microvm", "virt", "virt-uefi", "s390-ccw-virtio", "pseries"];
const COMPRESSIONS: &[&str] = &["none", "gzip", "lz4", "xz", "zstd"];

/// Takes the name of a machine of a fleet, or a machine type of QEMU.
pub(super) fn machines() -> impl TypedValueParser<Value = NamedMachine> {
    Suggested { parser: |text: &str| text.parse::<NamedMachine>(), values: MACHINES }
}

/// Takes a machine type of QEMU, perhaps with a version and properties.
pub(super) fn machine_types() -> impl TypedValueParser<Value = MachineType> {
    Suggested { parser: |text: &str| text.parse::<MachineType>(), values: MACHINES }
}

/// Takes the name of a compression, perhaps with a level. It is read where the format is known.
pub(super) fn compressions() -> impl TypedValueParser<Value = String> {
    Suggested { parser: StringValueParser::new(), values: COMPRESSIONS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_taken() {
        for name in MACHINES {
            assert_eq!(name.parse::<MachineType>().map(MachineType::name), Ok(*name));
        }
        for name in COMPRESSIONS {
            assert!(name.parse::<credimg_formats::squashfs::Compression>().is_ok(), "{name}");
        }
    }
}
