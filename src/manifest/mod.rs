//! The manifest: what the YAML says (`schema`) and what it means (`resolve`).

mod plan;

pub use plan::{Attributes, Entry, Format, Keep, Plan, Position, Source, TreePath};
