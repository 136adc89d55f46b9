//! Ways into private parts for the fuzz targets under `tests/fuzz/`.

use crate::error::Result;
use crate::iso9660::identifiers;
use crate::tree::Name;

/// The identifiers of a directory's entries, in the order of their records: of the primary
/// tree, or of Joliet's. `names` come in their order, each with whether it is a directory's.
pub fn iso9660_identifiers(names: &[(Name, bool)], is_joliet: bool) -> Result<Vec<Vec<u8>>> {
    identifiers(names, is_joliet)
}
