//! Maps. `set`, `unset` and the merges change the map that they are given, as in Sprig.

use std::{cell::RefCell, rc::Rc};

use super::{Arguments, Function, Made, function};
use crate::template::{
    show::text_of,
    value::{Entries, Value},
    work::{Fail, Work},
};

type Map = Rc<RefCell<Entries>>;

pub(super) const FUNCTIONS: &[Function] = &[
    function("dict KEY_AND_VALUE..", |a| {
        let mut entries = Entries::new();
        for pair in a.from(0).chunks(2) {
            let value = pair.get(1).cloned().unwrap_or_else(|| Value::Text("".into()));
            entries.insert(text_of(&pair[0], a.work)?.into(), value);
        }
        a.work.map(entries)
    }),
    function("get MAP KEY", |a| {
        let found = a.map(0)?.borrow().get(a.text(1)?).cloned();
        Ok(found.unwrap_or_else(|| Value::Text("".into())))
    }),
    function("set MAP KEY VALUE", |a| {
        a.work.step(1)?;
        a.work.change();
        a.map(0)?.borrow_mut().insert(a.text(1)?.into(), a.value(2).clone());
        Ok(a.value(0).clone())
    }),
    function("unset MAP KEY", |a| {
        a.work.change();
        a.map(0)?.borrow_mut().remove(a.text(1)?);
        Ok(a.value(0).clone())
    }),
    function("hasKey MAP KEY", |a| Ok(Value::Bool(a.map(0)?.borrow().contains_key(a.text(1)?)))),
    function("pluck KEY MAP..", |a| {
        let key = a.text(0)?;
        let mut found = Vec::new();
        for n in 1..a.values.len() {
            found.extend(a.map(n)?.borrow().get(key).cloned());
        }
        a.make_list(found)
    }),
    function("keys MAP..", |a| {
        let mut keys = Vec::new();
        for n in 0..a.values.len() {
            keys.extend(a.map(n)?.borrow().keys().cloned());
        }
        a.work.texts(keys)
    }),
    function("values MAP", |a| a.make_list(a.map(0)?.borrow().values().cloned().collect())),
    function("pick MAP KEY..", |a| {
        let map = a.map(0)?.borrow();
        let mut entries = Entries::new();
        for n in 1..a.values.len() {
            entries.extend(map.get_key_value(a.text(n)?).map(|(key, value)| (Rc::clone(key), value.clone())));
        }
        a.work.map(entries)
    }),
    function("omit MAP KEY..", |a| {
        let mut entries = a.map(0)?.borrow().clone();
        a.work.step(entries.len())?;
        for n in 1..a.values.len() {
            entries.remove(a.text(n)?);
        }
        a.work.map(entries)
    }),
    function("merge MAP MAP..", |a| merged(a, false)),
    function("mustMerge MAP MAP..", |a| merged(a, false)),
    function("mergeOverwrite MAP MAP..", |a| merged(a, true)),
    function("mustMergeOverwrite MAP MAP..", |a| merged(a, true)),
    function("dig KEY.. DEFAULT MAP", dig),
    function("deepCopy VALUE", |a| a.value(0).deep_copy(a.work, 0)),
    function("mustDeepCopy VALUE", |a| a.value(0).deep_copy(a.work, 0)),
];

/// Into the first map what it has not, from each of the others in turn; or, overwriting, what they have.
fn merged(a: &Arguments<'_>, overwrite: bool) -> Made {
    for n in 1..a.values.len() {
        merge(a.map(0)?, a.map(n)?, overwrite, a.work, 0)?;
    }
    Ok(a.value(0).clone())
}

fn merge(into: &Map, from: &Map, overwrite: bool, work: &Work, depth: usize) -> Result<(), Fail> {
    work.descend(depth)?;
    if Rc::ptr_eq(into, from) {
        return Ok(());
    }
    work.step(from.borrow().len())?;
    let entries: Vec<_> = from.borrow().iter().map(|(key, value)| (Rc::clone(key), value.clone())).collect();
    for (key, value) in entries {
        let has = into.borrow().get(&key).cloned();
        match (&has, &value) {
            (Some(Value::Map(inner)), Value::Map(other)) if !inner.borrow().is_empty() => {
                merge(inner, other, overwrite, work, depth + 1)?;
            }
            // mergo leaves what is not empty where a map would take its place.
            (Some(has), Value::Map(_)) if has.is_true() => {}
            (Some(has), _) if has.is_true() && !overwrite => {}
            (_, Value::Nil) if !overwrite => {}
            _ => {
                work.change();
                into.borrow_mut().insert(key, value);
            }
        }
    }
    Ok(())
}

/// The value at a path of keys, or the default.
fn dig(a: &Arguments<'_>) -> Made {
    let keys = a.values.len().saturating_sub(2);
    if keys == 0 {
        return a.refuse("it takes at least one key, a default and a map");
    }
    let mut map = Rc::clone(a.map(keys + 1)?);
    for n in 0..keys {
        let Some(value) = map.borrow().get(a.text(n)?).cloned() else { return Ok(a.value(keys).clone()) };
        if n + 1 == keys {
            return Ok(value);
        }
        let Value::Map(next) = value else {
            return a.refuse("a value on the way is no map");
        };
        map = next;
    }
    Ok(a.value(keys).clone())
}
