//! What is wrong with a file, where, and what was probably meant.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::FAULTS;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The file's name as it was given.
    pub file: String,
    /// Counts from 1; 0 where the fault has no place in a file.
    pub line: u32,
    /// In characters, counts from 1; 0 where the fault has no place in a file.
    pub column: u32,
    /// The keys that lead there: `spec.interfaces[0].mac`; empty for the whole.
    pub path: String,
    /// What is wrong and how to mend it.
    pub message: String,
    /// What was probably meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.suggestion {
            Some(meant) => write!(f, " (did you mean `{meant}`?)"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong, sorted by place; at most [`FAULTS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(transparent)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How much is wrong.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of their places.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// Adds one, unless the list is full.
    pub fn push(&mut self, fault: Fault) {
        if self.0.len() < FAULTS {
            self.0.push(fault);
        }
    }

    /// Adds those of `other`.
    pub fn extend(&mut self, other: Self) {
        for fault in other.0 {
            self.push(fault);
        }
    }

    /// `Ok(value)` where nothing is wrong.
    ///
    /// # Errors
    /// The faults, sorted, where there are any.
    pub fn or_ok<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self.sorted()) }
    }

    /// By file, line and column; the same fault once.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort();
        self.0.dedup();
        self
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, fault) in self.0.iter().enumerate() {
            if count > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(fault, f)?;
        }
        if self.0.len() >= FAULTS {
            write!(f, "\nonly the first {FAULTS} faults are listed")?;
        }
        Ok(())
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
