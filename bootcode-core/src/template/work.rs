//! What one rendering may cost, counted in steps: a clock may not be read here, and steps are the same on every machine.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use jiff::Timestamp;

use super::value::{Entries, List, Of, Value};
use crate::limits::{RENDERED_BYTES, TEMPLATE_MADE_BYTES, TEMPLATE_STEPS, TEMPLATE_VALUE_DEPTH};

/// Why an expression has no value. The words hold no values: those may be secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fail {
    /// It does not fit.
    Says(String),
    /// What was asked for is not there; near names stand beside it.
    Missing { key: String, meant: Option<String> },
    /// The template gave up, in its own words; they may hold values.
    Asked(String),
    /// It prints more than it may.
    PrintsTooMuch,
    /// It does more than it may.
    WorksTooMuch,
}

/// A refusal in words without values.
pub(super) fn refuse<T>(words: impl Into<String>) -> Result<T, Fail> {
    Err(Fail::Says(words.into()))
}

/// Counts what a rendering does, and keeps its lists and maps until it ends.
///
/// They are kept so that none is dropped inside another: a list nested a hundred thousand deep, or a map that holds itself, would
/// otherwise overflow the stack or never be freed.
#[derive(Debug)]
pub(super) struct Work {
    steps: Cell<u64>,
    made_bytes: Cell<usize>,
    lists: RefCell<Vec<Rc<List>>>,
    maps: RefCell<Vec<Rc<RefCell<Entries>>>>,
    changed: Cell<bool>,
    /// What `now` gives.
    pub(super) now: Option<Timestamp>,
}

impl Work {
    pub(super) fn new(now: Option<Timestamp>) -> Self {
        Self {
            steps: Cell::new(0),
            made_bytes: Cell::new(0),
            lists: RefCell::default(),
            maps: RefCell::default(),
            changed: Cell::new(false),
            now,
        }
    }

    /// As far as another one has come.
    pub(super) fn after(other: &Self) -> Self {
        let new = Self::new(other.now);
        new.steps.set(other.steps.get());
        new.made_bytes.set(other.made_bytes.get());
        new
    }

    /// A map becomes another one, and may be one of the data's.
    pub(super) fn change(&self) {
        self.changed.set(true);
    }

    /// Whether a map has become another one since this was asked last.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.take()
    }

    /// How many have been done.
    #[cfg(test)]
    pub(super) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Some more are done.
    pub(super) fn step(&self, count: usize) -> Result<(), Fail> {
        let steps = self.steps.get().saturating_add(count as u64);
        self.steps.set(steps.min(TEMPLATE_STEPS));
        if steps > TEMPLATE_STEPS { Err(Fail::WorksTooMuch) } else { Ok(()) }
    }

    /// A text of this size is gone through.
    pub(super) fn read(&self, bytes: usize) -> Result<(), Fail> {
        self.step(1 + bytes / 64)
    }

    /// One level further down in a value.
    pub(super) fn descend(&self, depth: usize) -> Result<(), Fail> {
        if depth > TEMPLATE_VALUE_DEPTH {
            return refuse(format!("a value is nested deeper than {TEMPLATE_VALUE_DEPTH}"));
        }
        self.step(1)
    }

    /// Before a text of this size is made.
    pub(super) fn may_make(&self, bytes: usize) -> Result<(), Fail> {
        if bytes > RENDERED_BYTES {
            return Err(Fail::PrintsTooMuch);
        }
        let made = self.made_bytes.get().saturating_add(bytes);
        self.made_bytes.set(made);
        if made > TEMPLATE_MADE_BYTES {
            return Err(Fail::WorksTooMuch);
        }
        self.read(bytes)
    }

    pub(super) fn text(&self, text: impl AsRef<str>) -> Result<Value, Fail> {
        let text = text.as_ref();
        self.may_make(text.len())?;
        Ok(Value::Text(text.into()))
    }

    pub(super) fn list(&self, items: Vec<Value>, of: Of) -> Result<Value, Fail> {
        self.step(1 + items.len())?;
        let list = Rc::new(List { items, of });
        self.lists.borrow_mut().push(Rc::clone(&list));
        Ok(Value::List(list))
    }

    pub(super) fn texts<T: AsRef<str>>(&self, texts: impl IntoIterator<Item = T>) -> Result<Value, Fail> {
        let items = texts.into_iter().map(|text| self.text(text)).collect::<Result<_, _>>()?;
        self.list(items, Of::Text)
    }

    pub(super) fn map(&self, entries: Entries) -> Result<Value, Fail> {
        self.step(1 + entries.len())?;
        let map = Rc::new(RefCell::new(entries));
        self.maps.borrow_mut().push(Rc::clone(&map));
        Ok(Value::Map(map))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        for map in self.maps.get_mut().drain(..).collect::<Vec<_>>().iter() {
            map.borrow_mut().clear();
        }
        // A list is younger than what it holds.
        while self.lists.get_mut().pop().is_some() {}
    }
}
