//! What the program tells of itself: pages of the manual that are made of its own tables.

mod completions;
mod pages;
mod reference;
