//! A part that few documents have.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize};

/// Takes a pointer's room where nothing was written, which is so in nearly every machine of a fleet. Reads and writes like the part itself.
#[derive(Debug, Clone, Default)]
pub struct Rare<T>(Option<Box<T>>);

/// What a part is where nothing was written.
pub trait Blank: Default + PartialEq + 'static {
    /// It, as it stands for all of them.
    fn blank() -> &'static Self;
}

impl<T: Blank> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or_else(|| T::blank())
    }
}

impl<T: Blank> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T: Blank> From<T> for Rare<T> {
    fn from(part: T) -> Self {
        Self((part != *T::blank()).then(|| Box::new(part)))
    }
}

impl<T: Blank> PartialEq for Rare<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Blank + Eq> Eq for Rare<T> {}

impl<T: Blank + Serialize> Serialize for Rare<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Blank + Deserialize<'de>> Deserialize<'de> for Rare<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Hardware, Netboot};

    #[test]
    fn what_was_not_written_takes_a_pointer_and_reads_like_what_was() {
        assert_eq!(size_of::<Rare<Netboot>>(), size_of::<usize>());
        let mut part: Rare<Netboot> = serde_json::from_str("{}").unwrap();
        assert!(part.0.is_none() && part.is_empty());
        part.always = true;
        assert_eq!(part, Rare::from(Netboot { always: true, ..Netboot::default() }));
        assert_eq!(serde_json::to_string(&part).unwrap(), r#"{"always":true}"#);
        part.always = false;
        assert_eq!(part, Rare::default(), "and one that was emptied is blank");
    }

    /// A hundred thousand of them are most of what a server holds.
    #[test]
    fn a_machine_is_small() {
        let bytes = size_of::<Hardware>();
        assert!(
            bytes <= 304,
            "a Hardware takes {bytes} bytes; with its counters it shall fit jemalloc's 320"
        );
    }
}
