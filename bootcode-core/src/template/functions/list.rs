//! Lists. None is changed in place.

use super::{Arguments, Function, Made, function};
use crate::template::{
    value::{Of, Value},
    work::Fail,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("list VALUE..", |a| a.make_list(a.from(0).to_vec())),
    function("tuple VALUE..", |a| a.make_list(a.from(0).to_vec())),
    function("first LIST", first),
    function("mustFirst LIST", first),
    function("last LIST", last),
    function("mustLast LIST", last),
    function("rest LIST", rest),
    function("mustRest LIST", rest),
    function("initial LIST", initial),
    function("mustInitial LIST", initial),
    function("append LIST VALUE", append),
    function("mustAppend LIST VALUE", append),
    function("push LIST VALUE", append),
    function("mustPush LIST VALUE", append),
    function("prepend LIST VALUE", prepend),
    function("mustPrepend LIST VALUE", prepend),
    function("concat LIST..", |a| {
        let mut items = Vec::new();
        for n in 0..a.values.len() {
            items.extend_from_slice(&a.list(n)?.items);
        }
        a.make_list(items)
    }),
    function("reverse LIST", reverse),
    function("mustReverse LIST", reverse),
    function("uniq LIST", uniq),
    function("mustUniq LIST", uniq),
    function("without LIST VALUE..", without),
    function("mustWithout LIST VALUE..", without),
    function("has VALUE LIST", has),
    function("mustHas VALUE LIST", has),
    function("compact LIST", compact),
    function("mustCompact LIST", compact),
    function("slice LIST [FROM] [TO]", slice),
    function("mustSlice LIST [FROM] [TO]", slice),
    function("chunk SIZE LIST", chunk),
    function("mustChunk SIZE LIST", chunk),
];

fn first(a: &Arguments<'_>) -> Made {
    Ok(a.list(0)?.items.first().cloned().unwrap_or(Value::Nil))
}

fn last(a: &Arguments<'_>) -> Made {
    Ok(a.list(0)?.items.last().cloned().unwrap_or(Value::Nil))
}

fn rest(a: &Arguments<'_>) -> Made {
    a.make_list(a.list(0)?.items.iter().skip(1).cloned().collect())
}

fn initial(a: &Arguments<'_>) -> Made {
    let items = &a.list(0)?.items;
    a.make_list(items[..items.len().saturating_sub(1)].to_vec())
}

fn append(a: &Arguments<'_>) -> Made {
    let mut items = a.list(0)?.items.clone();
    items.push(a.value(1).clone());
    a.make_list(items)
}

fn prepend(a: &Arguments<'_>) -> Made {
    let mut items = vec![a.value(1).clone()];
    items.extend_from_slice(&a.list(0)?.items);
    a.make_list(items)
}

fn reverse(a: &Arguments<'_>) -> Made {
    a.make_list(a.list(0)?.items.iter().rev().cloned().collect())
}

fn contains(a: &Arguments<'_>, items: &[Value], value: &Value) -> Result<bool, Fail> {
    for item in items {
        if value.deep_equal(item, a.work, 0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(a: &Arguments<'_>) -> Made {
    let mut items = Vec::new();
    for item in &a.list(0)?.items {
        if !contains(a, &items, item)? {
            items.push(item.clone());
        }
    }
    a.make_list(items)
}

fn without(a: &Arguments<'_>) -> Made {
    let mut items = Vec::new();
    for item in &a.list(0)?.items {
        if !contains(a, a.from(1), item)? {
            items.push(item.clone());
        }
    }
    a.make_list(items)
}

fn has(a: &Arguments<'_>) -> Made {
    if matches!(a.value(1), Value::Nil) {
        return Ok(Value::Bool(false));
    }
    Ok(Value::Bool(contains(a, &a.list(1)?.items, a.value(0))?))
}

fn compact(a: &Arguments<'_>) -> Made {
    a.make_list(a.list(0)?.items.iter().filter(|item| item.is_true()).cloned().collect())
}

/// Of a list, as Sprig's; of a text too, as Go's own, which Sprig's hides.
fn slice(a: &Arguments<'_>) -> Made {
    let length = match a.value(0) {
        Value::Text(text) => text.len(),
        _ => a.list(0)?.items.len(),
    };
    let place = |n: usize, otherwise: usize| match a.values.get(n) {
        None => Ok(otherwise),
        Some(_) => match usize::try_from(a.whole(n)?) {
            Ok(place) if place <= length => Ok(place),
            _ => a.refuse("FROM and TO lie between 0 and the length"),
        },
    };
    let (from, to) = (place(1, 0)?, place(2, length)?);
    if from > to {
        return a.refuse("FROM lies behind TO");
    }
    match a.value(0) {
        Value::Text(text) => match text.get(from..to) {
            Some(part) => a.make(part),
            None => a.refuse("this cuts a character in two; it counts bytes, as Go does"),
        },
        _ if length == 0 => Ok(Value::Nil),
        _ => {
            let list = a.list(0)?;
            a.work.list(list.items[from..to].to_vec(), list.of)
        }
    }
}

fn chunk(a: &Arguments<'_>) -> Made {
    let list = a.list(1)?;
    match usize::try_from(a.whole(0)?) {
        Ok(size) if size > 0 => {
            let chunks = list.items.chunks(size).map(|chunk| a.make_list(chunk.to_vec()));
            a.work.list(chunks.collect::<Result<_, _>>()?, Of::Lists)
        }
        _ => a.refuse("SIZE is at least 1"),
    }
}
