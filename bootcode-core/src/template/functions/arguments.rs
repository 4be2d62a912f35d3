//! What a function was given, read as what it takes.

use std::{cell::RefCell, rc::Rc};

use crate::template::{
    show::text_of,
    value::{Entries, List, Of, Value},
    work::{Fail, Work, refuse},
};

/// A function's result.
pub(in crate::template) type Made = Result<Value, Fail>;

/// The values that a function was given; of the right number.
pub(in crate::template) struct Arguments<'a> {
    pub(in crate::template) name: &'static str,
    pub(in crate::template) values: &'a [Value],
    pub(in crate::template) work: &'a Work,
}

impl<'a> Arguments<'a> {
    /// The nth value; nil where it was left out.
    pub(in crate::template) fn value(&self, n: usize) -> &'a Value {
        self.values.get(n).unwrap_or(&Value::Nil)
    }

    /// The nth value, which must be a text.
    pub(in crate::template) fn text(&self, n: usize) -> Result<&'a str, Fail> {
        match self.value(n) {
            Value::Text(text) => {
                self.work.read(text.len())?;
                Ok(text)
            }
            other => self.wrong(n, "a text", other),
        }
    }

    /// The nth value, which must be a whole number.
    pub(in crate::template) fn whole(&self, n: usize) -> Result<i64, Fail> {
        self.value(n).whole().map_or_else(|| self.wrong(n, "a whole number", self.value(n)), Ok)
    }

    /// The nth value, which must be true or false.
    pub(in crate::template) fn truth(&self, n: usize) -> Result<bool, Fail> {
        match self.value(n) {
            Value::Bool(value) => Ok(*value),
            other => self.wrong(n, "true or false", other),
        }
    }

    /// The nth value, which must be a map.
    pub(in crate::template) fn map(&self, n: usize) -> Result<&'a Rc<RefCell<Entries>>, Fail> {
        match self.value(n) {
            Value::Map(map) => Ok(map),
            other => self.wrong(n, "a map", other),
        }
    }

    /// The nth value, which must be a list.
    pub(in crate::template) fn list(&self, n: usize) -> Result<&'a List, Fail> {
        match self.value(n) {
            Value::List(list) => {
                self.work.step(list.items.len())?;
                Ok(list)
            }
            other => self.wrong(n, "a list", other),
        }
    }

    /// The text of the nth value, whatever it is.
    pub(in crate::template) fn text_of(&self, n: usize) -> Result<String, Fail> {
        text_of(self.value(n), self.work)
    }

    /// All from the nth on.
    pub(in crate::template) fn from(&self, n: usize) -> &'a [Value] {
        self.values.get(n..).unwrap_or_default()
    }

    /// A text, once it is sure that it is no longer than what may be printed.
    pub(in crate::template) fn make(&self, text: impl AsRef<str>) -> Made {
        self.work.text(text)
    }

    /// A text that has been counted while it was made.
    pub(in crate::template) fn counted(&self, text: String) -> Made {
        Ok(Value::Text(text.into()))
    }

    pub(in crate::template) fn make_list(&self, items: Vec<Value>) -> Made {
        self.work.list(items, Of::Any)
    }

    /// A refusal that names the function.
    pub(in crate::template) fn refuse<T>(&self, words: &str) -> Result<T, Fail> {
        refuse(format!("`{}`: {words}", self.name))
    }

    fn wrong<T>(&self, n: usize, wanted: &str, found: &Value) -> Result<T, Fail> {
        refuse(format!("`{}` takes {wanted} as value {}, not {}", self.name, n + 1, found.noun()))
    }
}
