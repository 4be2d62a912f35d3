//! Defaults, choices, what a value is, and giving up.

use super::{Arguments, Function, Made, function};
use crate::template::{value::Value, work::Fail};

pub(super) const FUNCTIONS: &[Function] = &[
    function("default DEFAULT VALUE..", |a| {
        Ok(a.values.get(1).filter(|value| value.is_true()).unwrap_or(a.value(0)).clone())
    }),
    function("empty VALUE", |a| Ok(Value::Bool(!a.value(0).is_true()))),
    function("coalesce VALUE..", |a| {
        Ok(a.from(0).iter().find(|value| value.is_true()).cloned().unwrap_or(Value::Nil))
    }),
    function("all VALUE..", |a| Ok(Value::Bool(a.from(0).iter().all(Value::is_true)))),
    function("any VALUE..", |a| Ok(Value::Bool(a.from(0).iter().any(Value::is_true)))),
    function("ternary THEN ELSE CONDITION", |a| Ok(a.value(usize::from(!a.truth(2)?)).clone())),
    function("typeOf VALUE", |a| a.make(a.value(0).type_name())),
    function("typeIs TYPE VALUE", |a| Ok(Value::Bool(a.value(1).type_name() == a.text(0)?))),
    function("typeIsLike TYPE VALUE", |a| {
        Ok(Value::Bool(a.value(1).type_name().trim_start_matches('*') == a.text(0)?.trim_start_matches('*')))
    }),
    function("kindOf VALUE", |a| a.make(a.value(0).kind())),
    function("kindIs KIND VALUE", |a| Ok(Value::Bool(a.value(1).kind() == a.text(0)?))),
    function("deepEqual VALUE VALUE", |a| Ok(Value::Bool(a.value(0).deep_equal(a.value(1), a.work, 0)?))),
    function("fail MESSAGE", fail),
];

fn fail(a: &Arguments<'_>) -> Made {
    Err(Fail::Asked(a.text(0)?.to_owned()))
}
