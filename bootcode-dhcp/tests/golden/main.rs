//! Requests as real clients write them, and every byte that they are answered with; filed by the RFC that rules them.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

/// Compares a table with the one that was reviewed.
macro_rules! assert_table {
    ($cases:expr) => {
        insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(crate::table($cases)) })
    };
}

mod bad_input;
mod modes;
mod pools;
mod rfc2131;
mod rfc2132;
mod rfc4578;

use std::{fmt::Write as _, net::Ipv4Addr};

use common::{Ask, World};

const DISCOVER: u8 = 1;
const REQUEST: u8 = 3;
const DECLINE: u8 = 4;
const RELEASE: u8 = 7;
const INFORM: u8 = 8;
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 2);

/// One table: a line on what is asked, then the answer.
fn table(cases: &[(&str, &World, Ask)]) -> String {
    let mut text = String::new();
    for (name, world, ask) in cases {
        writeln!(text, "== {name}\n{}", world.text(ask)).unwrap();
    }
    text
}
