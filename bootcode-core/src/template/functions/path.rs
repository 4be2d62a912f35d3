//! Paths, as Go's `path` package takes them apart: with slashes, looking at no disk.

use super::{Function, function};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("base PATH", |a| a.make(base(a.text(0)?))),
    function("dir PATH", |a| a.make(dir(a.text(0)?))),
    function("ext PATH", |a| a.make(ext(a.text(0)?))),
    function("clean PATH", |a| a.make(clean(a.text(0)?))),
    function("isAbs PATH", |a| Ok(Value::Bool(a.text(0)?.starts_with('/')))),
    function("osBase PATH", |a| a.make(base(a.text(0)?))),
    function("osDir PATH", |a| a.make(dir(a.text(0)?))),
    function("osExt PATH", |a| a.make(ext(a.text(0)?))),
    function("osClean PATH", |a| a.make(clean(a.text(0)?))),
    function("osIsAbs PATH", |a| Ok(Value::Bool(a.text(0)?.starts_with('/')))),
];

fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".",
        "" => "/",
        trimmed => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

fn dir(path: &str) -> String {
    clean(&path[..path.rfind('/').map_or(0, |n| n + 1)])
}

fn ext(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').map_or("", |n| &name[n..])
}

/// The shortest path that means the same.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&"..") => parts.push(".."),
                None if !rooted => parts.push(".."),
                None => {}
                Some(_) => {
                    parts.pop();
                }
            },
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}
