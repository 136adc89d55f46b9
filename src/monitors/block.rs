//! The size of the disk's blocks, as the guest sees them.

/// The size of a block of the disk, as the guest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// 512 bytes, as of most disks: the only ones that SeaBIOS takes.
    Small,
    /// 2048 bytes, as of a CD-ROM: the largest with which Linux mounts ISO 9660.
    Cd,
    /// 4096 bytes: what EROFS and SquashFS are padded to.
    Page,
}

impl Block {
    /// The size itself.
    pub fn bytes(self) -> u16 {
        match self {
            Self::Small => 512,
            Self::Cd => 2048,
            Self::Page => 4096,
        }
    }

    /// The block for an image of this size: a small one where this one would hide a rest
    /// that does not fill it.
    #[must_use]
    pub fn dividing(self, size_bytes: u64) -> Self {
        if size_bytes.is_multiple_of(u64::from(self.bytes())) { self } else { Self::Small }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_never_hides_the_end_of_an_image() {
        assert_eq!(Block::Page.dividing(8192), Block::Page);
        assert_eq!(Block::Page.dividing(6144), Block::Small);
        assert_eq!(Block::Cd.dividing(6144), Block::Cd);
    }
}
