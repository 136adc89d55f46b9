//! Images of mkfs.erofs.
