//! The reader of SquashFS.
