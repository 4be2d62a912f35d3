//! YAML, read and written in one place.

pub mod duration;
