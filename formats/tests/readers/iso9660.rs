//! The reader of ISO 9660.
