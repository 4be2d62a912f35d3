//! Encodings and digests.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use data_encoding::BASE32;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::{Arguments, Function, Made, function};

pub(super) const FUNCTIONS: &[Function] = &[
    function("b64enc TEXT", |a| a.make(STANDARD.encode(a.text(0)?))),
    function("b64dec TEXT", |a| decoded(a, STANDARD.decode(without_lines(a.text(0)?)).ok(), "base64")),
    function("b32enc TEXT", |a| a.make(BASE32.encode(a.text(0)?.as_bytes()))),
    function("b32dec TEXT", |a| {
        decoded(a, BASE32.decode(without_lines(a.text(0)?).as_bytes()).ok(), "base32")
    }),
    function("sha1sum TEXT", |a| digest(a, &Sha1::digest(a.text(0)?))),
    function("sha256sum TEXT", |a| digest(a, &Sha256::digest(a.text(0)?))),
    function("sha512sum TEXT", |a| digest(a, &Sha512::digest(a.text(0)?))),
    function("adler32sum TEXT", |a| a.make(adler2::adler32_slice(a.text(0)?.as_bytes()).to_string())),
];

/// Go's decoders pass over the ends of lines.
fn without_lines(text: &str) -> String {
    text.replace(['\r', '\n'], "")
}

fn decoded(a: &Arguments<'_>, bytes: Option<Vec<u8>>, what: &str) -> Made {
    let Some(bytes) = bytes else { return a.refuse(&format!("this is no {what}")) };
    match String::from_utf8(bytes) {
        Ok(text) => a.make(text),
        Err(_) => a.refuse(&format!("this {what} holds what is no text")),
    }
}

fn digest(a: &Arguments<'_>, bytes: &[u8]) -> Made {
    // A digest costs more than reading.
    a.work.read(a.text(0)?.len().saturating_mul(4))?;
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    a.make(hex)
}
