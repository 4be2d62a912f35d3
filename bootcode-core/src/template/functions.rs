//! The functions of templates: Sprig's, hermetic, in Sprig's order of arguments, and Tinkerbell's own. None sees the environment, the
//! network or a clock, and none makes a text longer than what may be printed.

use std::net::Ipv4Addr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gotmpl::{Template, TemplateError, Value};

use crate::{limits::RENDERED_BYTES, yaml};

type Outcome = Result<Value, TemplateError>;
type Function = fn(&[Value]) -> Outcome;

/// Those of Go's text/template.
const GO: [&str; 20] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print",
    "printf", "println", "slice", "urlquery", "true",
];

/// Name, number of arguments, function.
const OWN: [(&str, usize, Function); 21] = [
    ("formatPartition", 2, format_partition),
    ("netmaskToPrefixLength", 1, netmask_to_prefix_length),
    ("contains", 2, |args| Ok(Value::Bool(text(&args[1]).contains(&text(&args[0]))))),
    ("hasPrefix", 2, |args| Ok(Value::Bool(text(&args[1]).starts_with(&text(&args[0]))))),
    ("hasSuffix", 2, |args| Ok(Value::Bool(text(&args[1]).ends_with(&text(&args[0]))))),
    ("default", 2, |args| Ok(if args[1].is_truthy() { args[1].clone() } else { args[0].clone() })),
    ("lower", 1, |args| bounded(text(&args[0]).to_lowercase())),
    ("upper", 1, |args| bounded(text(&args[0]).to_uppercase())),
    ("trim", 1, |args| bounded(text(&args[0]).trim().to_owned())),
    ("trimPrefix", 2, |args| {
        let whole = text(&args[1]);
        bounded(whole.strip_prefix(&*text(&args[0])).unwrap_or(&whole).to_owned())
    }),
    ("trimSuffix", 2, |args| {
        let whole = text(&args[1]);
        bounded(whole.strip_suffix(&*text(&args[0])).unwrap_or(&whole).to_owned())
    }),
    ("replace", 3, replace),
    ("quote", 1, |args| bounded(format!("{:?}", text(&args[0])))),
    ("squote", 1, |args| bounded(format!("'{}'", text(&args[0])))),
    ("join", 2, join),
    ("b64enc", 1, |args| bounded(STANDARD.encode(text(&args[0])))),
    ("b64dec", 1, b64dec),
    ("toYaml", 1, to_yaml),
    ("html", 1, |args| bounded(gotmpl::html_escape(&text(&args[0])).to_string())),
    ("js", 1, |args| bounded(gotmpl::js_escape(&text(&args[0])).to_string())),
    ("urlquery", 1, |args| bounded(gotmpl::url_encode(&text(&args[0])).to_string())),
];

/// What builds texts of any number of values; theirs is the one way to grow a text that the engine does not bound.
const PRINTS: [&str; 3] = ["print", "printf", "println"];

pub(super) fn register(mut template: Template) -> Template {
    for (name, count, function) in OWN {
        template = template.func(name, move |args| {
            if args.len() == count {
                return function(args);
            }
            Err(TemplateError::ArgCount { name: name.to_owned(), expected: count, got: args.len() })
        });
    }
    for name in PRINTS {
        template = template.func(name, move |args| print(name, args));
    }
    template
}

/// Whether there is a function of this name.
pub(super) fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    GO.into_iter().chain(OWN.iter().map(|(name, ..)| *name))
}

/// The engine's own words may repeat values, those of the functions here do not.
pub(super) fn public_words(words: &str) -> String {
    const MARK: &str = "in a template: ";
    match words.split_once(MARK) {
        Some((_, ours)) => ours.to_owned(),
        None => "an operation does not fit the values that it was given".to_owned(),
    }
}

fn refuse(message: &str) -> TemplateError {
    TemplateError::Exec(format!("in a template: {message}"))
}

fn text(value: &Value) -> String {
    value.to_string()
}

fn bounded(text: String) -> Outcome {
    if text.len() > RENDERED_BYTES {
        return Err(refuse("a function makes a text that is longer than what may be printed"));
    }
    Ok(Value::String(text.into()))
}

/// Go's own, once it is sure that the result is bounded.
fn print(name: &'static str, args: &[Value]) -> Outcome {
    let mut bytes = 0;
    for arg in args {
        bytes += text(arg).len() + 1;
        if bytes > RENDERED_BYTES {
            return Err(refuse("a function makes a text that is longer than what may be printed"));
        }
    }
    if name == "printf" {
        let format = args.first().map(text).unwrap_or_default();
        let wide = format.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 3);
        // An indexed argument (`%[1]s`) prints one value many times.
        let repeats =
            format.contains("%[") && format.matches('%').count().saturating_mul(bytes) > RENDERED_BYTES;
        if wide || format.contains('*') || repeats {
            return Err(refuse("printf takes widths of at most three digits, and no `*`"));
        }
    }
    let call: String = (0..args.len()).map(|n| format!(" (index . {n})")).collect();
    let value = Value::List(args.to_vec().into());
    let text = Template::new(name).parse(&format!("{{{{{name}{call}}}}}"))?.execute_to_string(&value)?;
    bounded(text)
}

/// `replace old new text`.
fn replace(args: &[Value]) -> Outcome {
    let (old, new, whole) = (text(&args[0]), text(&args[1]), text(&args[2]));
    let times = whole.matches(&*old).count();
    if times.saturating_mul(new.len()).saturating_add(whole.len()) > RENDERED_BYTES {
        return Err(refuse("replace makes a text that is longer than what may be printed"));
    }
    bounded(whole.replace(&*old, &new))
}

/// `join separator list`.
fn join(args: &[Value]) -> Outcome {
    let Value::List(items) = &args[1] else { return Err(refuse("join takes a separator and a list")) };
    let separator = text(&args[0]);
    if items.len().saturating_mul(separator.len()) > RENDERED_BYTES {
        return Err(refuse("join makes a text that is longer than what may be printed"));
    }
    bounded(items.iter().map(text).collect::<Vec<_>>().join(&separator))
}

fn b64dec(args: &[Value]) -> Outcome {
    let bytes = STANDARD.decode(text(&args[0])).map_err(|_| refuse("b64dec was given no base64"))?;
    bounded(String::from_utf8(bytes).map_err(|_| refuse("b64dec was given what is no text"))?)
}

fn to_yaml(args: &[Value]) -> Outcome {
    let fail = || refuse("toYaml was given a value that has no YAML form");
    let value = json(&args[0]).ok_or_else(fail)?;
    let text = yaml::to_string(&value).map_err(|_| fail())?;
    bounded(text.trim_end_matches('\n').to_owned())
}

/// The value as JSON; functions have no such form.
fn json(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::String(text) => text.to_string().into(),
        Value::List(items) => items.iter().map(json).collect::<Option<Vec<_>>>()?.into(),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| Some((key.to_string(), json(value)?)));
            serde_json::Value::Object(entries.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// `formatPartition device number`: the path of a partition, by the kernel's and udev's rules.
fn format_partition(args: &[Value]) -> Outcome {
    let device = text(&args[0]);
    let Some(number) = args[1].as_int().filter(|number| *number > 0) else {
        return Err(refuse("formatPartition takes a device and the partition's number"));
    };
    if device.starts_with("/dev/disk/by-") {
        return bounded(format!("{device}-part{number}"));
    }
    // A `p` stands between two numbers: nvme0n1p1, mmcblk0p1, loop0p1, nbd0p1.
    let between = if device.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    bounded(format!("{device}{between}{number}"))
}

/// `netmaskToPrefixLength "255.255.255.0"` is 24.
fn netmask_to_prefix_length(args: &[Value]) -> Outcome {
    let mask: Ipv4Addr =
        text(&args[0]).parse().map_err(|_| refuse("netmaskToPrefixLength takes an IPv4 netmask"))?;
    let prefix = ipnet::ipv4_mask_to_prefix(mask)
        .map_err(|_| refuse("netmaskToPrefixLength was given a netmask with a gap"))?;
    Ok(Value::Int(prefix.into()))
}
