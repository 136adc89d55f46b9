//! Images of SquashFS that no writer makes, put together by hand: a few stored bytes in them
//! become very many.

const METADATA_BYTES: usize = 8192;
const LZ4: u16 = 5;

/// What an image is put together from. Metadata is stored as it is.
struct Craft {
    block_bits: u16,
    data: Vec<u8>,
    /// Inodes of files; the root's comes behind them.
    files: Vec<Vec<u8>>,
    /// Places and sizes.
    fragments: Vec<(u64, u32)>,
    /// The inodes as they are stored, where `files` are not what is there.
    inodes: Option<Vec<u8>>,
    /// The listings as they are stored, with the length that the root says.
    listings: Option<(Vec<u8>, u16)>,
}

impl Default for Craft {
    fn default() -> Self {
        Self {
            block_bits: 20,
            data: Vec::new(),
            files: Vec::new(),
            fragments: Vec::new(),
            inodes: None,
            listings: None,
        }
    }
}

/// Images that are dear to read are longer than those that are mutated.
const DEAR_BYTES: usize = 260 << 10;
/// Where content begins: behind the superblock.
const DATA_START: u64 = 96;

/// One packed block of 1 MiB, and 1500 files that are it.
pub(super) fn content_bomb() -> Vec<u8> {
    let data = zeros(1 << 20);
    let size = data.len() as u32;
    let one = file(DATA_START as u32, u32::MAX, 0, 1 << 20, &[size]);
    dear(Craft { data, files: vec![one; 1500], ..Craft::default() }.finish())
}

/// Twenty fragments of 1 MiB, and 1500 files of one byte that are in them by turns.
pub(super) fn fragment_bomb() -> Vec<u8> {
    let block = zeros(1 << 20);
    let size = block.len() as u32;
    let fragments = (0..20).map(|index| (DATA_START + index * u64::from(size), size)).collect();
    let files = (0..1500).map(|index| file(0, index % 20, 0, 1, &[])).collect();
    dear(Craft { data: block.repeat(20), files, fragments, ..Craft::default() }.finish())
}

/// A file of holes alone, whose list of blocks is packed to almost nothing.
pub(super) fn hole_bomb() -> Vec<u8> {
    const BLOCKS: u64 = 65_536;
    let before = root(12 + 8 + 1, 2);
    let here = (METADATA_BYTES - before.len() - 56) as u64 / 4;
    let entries = here + BLOCKS * METADATA_BYTES as u64 / 4;
    let mut record = inode(9, 1);
    for long in [0, entries << 12, entries << 12] {
        record.extend(u64::to_le_bytes(long));
    }
    for word in [1, u32::MAX, 0, u32::MAX] {
        record.extend(u32::to_le_bytes(word));
    }
    let offset = before.len() as u16;
    let mut first = [before, record].concat();
    // The list begins here.
    first.resize(METADATA_BYTES, 0);
    let mut inodes = stored(&first);
    let block = zeros(METADATA_BYTES);
    for _ in 0..BLOCKS {
        inodes.extend((block.len() as u16).to_le_bytes());
        inodes.extend(&block);
    }
    let listing = listing(&[(offset, "a")]);
    let craft = Craft {
        block_bits: 12,
        inodes: Some(inodes),
        listings: Some((stored(&listing), listing.len() as u16)),
        ..Craft::default()
    };
    craft.finish_with_root(0)
}

/// A directory whose listing is packed zeros: each header counts one entry of one byte.
pub(super) fn listing_bomb() -> Vec<u8> {
    let block = zeros(METADATA_BYTES);
    let mut listings = Vec::new();
    for _ in 0..8 {
        listings.extend((block.len() as u16).to_le_bytes());
        listings.extend(&block);
    }
    Craft { listings: Some((listings, 60_000)), ..Craft::default() }.finish()
}

/// A metadata block that unpacks to more than 8 KiB.
pub(super) fn long_metadata() -> Vec<u8> {
    let block = zeros(METADATA_BYTES + 1);
    let inodes = [(block.len() as u16).to_le_bytes().to_vec(), block].concat();
    Craft { inodes: Some(inodes), ..Craft::default() }.finish_with_root(0)
}

/// A metadata block that unpacks to nothing: a token without literals.
pub(super) fn empty_metadata() -> Vec<u8> {
    Craft { inodes: Some(vec![1, 0, 0]), ..Craft::default() }.finish_with_root(0)
}

fn dear(mut image: Vec<u8>) -> Vec<u8> {
    image.resize(image.len().max(DEAR_BYTES), 0);
    image
}

/// So many zeros, packed by lz4: a literal, a match of what is behind it, and five literals.
fn zeros(length: usize) -> Vec<u8> {
    let rest = length - 1 - 5 - 19;
    let mut packed = vec![0x1f, 0, 1, 0];
    packed.resize(packed.len() + rest / 255, 255);
    packed.push((rest % 255) as u8);
    packed.extend([0x50, 0, 0, 0, 0, 0]);
    packed
}

fn inode(inode_type: u16, number: u32) -> Vec<u8> {
    let shorts = [inode_type, 0o400, 0, 0];
    let words = [1_700_000_000, number];
    [shorts.map(u16::to_le_bytes).concat(), words.map(u32::to_le_bytes).concat()].concat()
}

fn file(start: u32, fragment: u32, offset: u32, size: u32, blocks: &[u32]) -> Vec<u8> {
    let words = [&[start, fragment, offset, size], blocks].concat();
    [inode(2, 0), words.iter().flat_map(|word| word.to_le_bytes()).collect()].concat()
}

/// The root's inode, whose listing is at the start of the directories.
fn root(listing_bytes: u16, number: u32) -> Vec<u8> {
    let size = listing_bytes + 3;
    let body = [
        0_u32.to_le_bytes().to_vec(),
        2_u32.to_le_bytes().to_vec(),
        size.to_le_bytes().to_vec(),
        0_u16.to_le_bytes().to_vec(),
        (number + 1).to_le_bytes().to_vec(),
    ];
    [inode(1, number), body.concat()].concat()
}

/// A listing of files in the first metadata block of inodes, with their offsets.
fn listing(entries: &[(u16, &str)]) -> Vec<u8> {
    let words = [entries.len() as u32 - 1, 0, 1];
    let mut listing = words.map(u32::to_le_bytes).concat();
    for (offset, name) in entries {
        let shorts = [*offset, 0, 2, name.len() as u16 - 1];
        listing.extend(shorts.map(u16::to_le_bytes).concat());
        listing.extend(name.as_bytes());
    }
    listing
}

/// Metadata as it is stored, and each block's place.
fn blocks(bytes: &[u8], start: u64) -> (Vec<u8>, Vec<u64>) {
    let (mut table, mut places) = (Vec::new(), Vec::new());
    for block in bytes.chunks(METADATA_BYTES) {
        places.push(start + table.len() as u64);
        table.extend((block.len() as u16 | 0x8000).to_le_bytes());
        table.extend(block);
    }
    (table, places)
}

fn stored(bytes: &[u8]) -> Vec<u8> {
    blocks(bytes, 0).0
}

impl Craft {
    fn finish(mut self) -> Vec<u8> {
        let (mut inodes, mut entries) = (Vec::new(), Vec::new());
        for (index, record) in self.files.iter().enumerate() {
            let place = inodes.len();
            let mut record = record.clone();
            let number = index as u32 + 1;
            record[12..16].copy_from_slice(&number.to_le_bytes());
            inodes.extend(record);
            entries.push((place, number));
        }
        // A header each, which is simple.
        let mut listings = Vec::new();
        for (place, number) in entries {
            let block = place / METADATA_BYTES * (METADATA_BYTES + 2);
            let words = [0, block as u32, number];
            listings.extend(words.map(u32::to_le_bytes).concat());
            let shorts = [(place % METADATA_BYTES) as u16, 0, 2, 4];
            listings.extend(shorts.map(u16::to_le_bytes).concat());
            listings.extend(format!("{number:05}").into_bytes());
        }
        let (listings, length) =
            self.listings.take().unwrap_or_else(|| (stored(&listings), listings.len() as u16));
        let place = inodes.len();
        let number = self.files.len() as u32 + 1;
        inodes.extend(root(length, number));
        self.listings = Some((listings, length));
        self.inodes = Some(stored(&inodes));
        let block = place / METADATA_BYTES * (METADATA_BYTES + 2);
        self.finish_with_root(((block << 16) | (place % METADATA_BYTES)) as u64)
    }

    fn finish_with_root(self, root: u64) -> Vec<u8> {
        let mut image = vec![0; DATA_START as usize];
        image.extend(&self.data);
        let inode_table = image.len() as u64;
        image.extend(self.inodes.unwrap_or_default());
        let directory_table = image.len() as u64;
        image.extend(self.listings.unwrap_or_default().0);
        let entries: Vec<u8> = (self.fragments.iter())
            .flat_map(|(start, size)| {
                [start.to_le_bytes().to_vec(), size.to_le_bytes().to_vec(), vec![0; 4]].concat()
            })
            .collect();
        let fragment_table = list(&mut image, &entries);
        let id_table = list(&mut image, &[0; 4]);
        let used = image.len() as u64;
        let none = u64::MAX;
        let words =
            [0x7371_7368, self.files.len().max(1) as u32 + 1, 1_700_000_000, 1 << self.block_bits];
        let mut head = words.map(u32::to_le_bytes).concat();
        head.extend((self.fragments.len() as u32).to_le_bytes());
        head.extend([LZ4, self.block_bits, 0, 1, 4, 0].map(u16::to_le_bytes).concat());
        let longs =
            [root, used, id_table, none, inode_table, directory_table, fragment_table, none];
        head.extend(longs.map(u64::to_le_bytes).concat());
        image[..head.len()].copy_from_slice(&head);
        image
    }
}

/// Appends a table and the list of its blocks; returns where the list is.
fn list(image: &mut Vec<u8>, records: &[u8]) -> u64 {
    let (table, places) = blocks(records, image.len() as u64);
    image.extend(table);
    let list = image.len() as u64;
    image.extend(places.iter().flat_map(|place| place.to_le_bytes()));
    list
}
