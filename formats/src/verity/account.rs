//! Accounts for each byte of superblock and tree, for a dump.

use zerocopy::FromBytes;

use super::find::Found;
use super::format::{SUPER_BLOCK_BYTES, SuperBlock};
use super::layout::Layout;
use crate::error::{Result, corrupt};
use crate::read::fields::{field, hex, record, text, whole, zeros};
use crate::read::{Account, RegionKind, Storage};
use crate::uuid::uuid_text;

/// Tells what each byte behind the data of `storage` is, up to the end of the tree.
pub fn account(storage: &dyn Storage, found: &Found, account: &mut dyn Account) -> Result<()> {
    let layout = found.layout().ok_or_else(|| corrupt("the hash tree has no valid size"))?;
    let Layout { data_bytes, tree_offset_bytes, .. } = layout;
    let mut bytes = [0; size_of::<SuperBlock>()];
    storage.read_exact_at(data_bytes, &mut bytes)?;
    let superblock = SuperBlock::read_from_bytes(&bytes);
    let superblock = superblock.map_err(|_| corrupt("the image ends too early"))?;
    account.region(record(data_bytes, "dm-verity superblock".to_owned(), fields(&superblock)))?;
    let superblock_end = data_bytes.saturating_add(SUPER_BLOCK_BYTES);
    let gap_bytes = tree_offset_bytes.saturating_sub(superblock_end);
    let title = "rest of the superblock's block".to_owned();
    account.region(whole(superblock_end, gap_bytes, RegionKind::Padding, title))?;
    let digest_bytes = found.options.algorithm.digest_bytes() as u64;
    let hash_block_bytes = u64::from(found.options.hash_block_bytes);
    let mut below = layout.data_blocks;
    for (number, level) in layout.levels.iter().enumerate() {
        let used_bytes = below.saturating_mul(digest_bytes);
        let whole_bytes = level.blocks.saturating_mul(hash_block_bytes);
        let title = format!("hashes of level {number}");
        account.region(whole(level.offset_bytes, used_bytes, RegionKind::Record, title))?;
        let rest_start = level.offset_bytes.saturating_add(used_bytes);
        let rest_bytes = whole_bytes.saturating_sub(used_bytes);
        let title = format!("rest of level {number}");
        account.region(whole(rest_start, rest_bytes, RegionKind::Padding, title))?;
        below = level.blocks;
    }
    Ok(())
}

fn fields(superblock: &SuperBlock) -> Vec<crate::read::Field> {
    let salt_bytes = usize::from(superblock.salt_bytes.get()).min(superblock.salt.len());
    let (salt, rest) = superblock.salt.split_at(salt_bytes);
    let mut fields = vec![
        text(&superblock.signature, "signature"),
        field(4, "version", superblock.version.to_string()),
        field(4, "hash_type", superblock.hash_type.to_string()),
        field(16, "uuid", uuid_text(superblock.uuid)),
        text(&superblock.algorithm, "algorithm"),
        field(4, "data_block_size", superblock.data_block_bytes.to_string()),
        field(4, "hash_block_size", superblock.hash_block_bytes.to_string()),
        field(8, "data_blocks", superblock.data_blocks.to_string()),
        field(2, "salt_size", superblock.salt_bytes.to_string()),
        zeros(&superblock.padding, "_pad1"),
        hex(salt, "salt"),
        zeros(rest, "behind salt"),
        zeros(&superblock.padding_to_512, "_pad2"),
    ];
    fields.retain(|field| field.length_bytes > 0);
    fields
}
