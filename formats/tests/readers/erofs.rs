//! The reader of EROFS.
