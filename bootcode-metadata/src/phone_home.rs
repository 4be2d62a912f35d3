//! What an installed system says when it calls home: cloud-init's `phone_home` sends a form, other programs may send JSON.

use crate::limits::INSTANCE_ID_CHARS;

/// The `instance_id` of a call: of a JSON object where `content_type` says so, else of a form
/// (`application/x-www-form-urlencoded`, WHATWG URL 5.1). Printable ASCII only, at most [`INSTANCE_ID_CHARS`], for it
/// ends up in logs. `None` where the body names none.
#[must_use]
pub fn instance_id(content_type: &[u8], body: &[u8]) -> Option<String> {
    let id = if content_type.to_ascii_lowercase().starts_with(b"application/json") {
        let value: serde_json::Value = serde_json::from_slice(body).ok()?;
        value.get("instance_id")?.as_str()?.as_bytes().to_vec()
    } else {
        body.split(|byte| *byte == b'&').find_map(|pair| pair.strip_prefix(b"instance_id=")).map(decode)?
    };
    let id: String =
        id.into_iter().filter(u8::is_ascii_graphic).map(char::from).take(INSTANCE_ID_CHARS).collect();
    (!id.is_empty()).then_some(id)
}

/// Undoes percent-encoding; `+` is a space, and a `%` that begins no pair of digits is itself.
fn decode(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let pair = digit(at + 1).zip(digit(at + 2)).filter(|_| *byte == b'%');
        decoded.push(match (byte, pair) {
            // Two hexadecimal digits are at most 255.
            (_, Some((high, low))) => u8::try_from(high * 16 + low).unwrap_or_default(),
            (b'+', None) => b' ',
            (other, None) => *other,
        });
        at += if pair.is_some() { 3 } else { 1 };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_json_name_their_instance_and_garbage_names_none() {
        let form = b"application/x-www-form-urlencoded".as_slice();
        let json = b"application/json; charset=utf-8".as_slice();
        let cases: [(&[u8], &[u8], Option<&str>); 12] = [
            (form, b"pub_key_rsa=ssh-rsa+AAAA%2B&instance_id=i-node-1&hostname=node-1", Some("i-node-1")),
            (b"", b"instance_id=i-node-1", Some("i-node-1")),
            (form, b"instance_id=i%2Dnode%2d1", Some("i-node-1")),
            (form, b"instance_id=a+b%20c%0Ad%00", Some("abcd")),
            (form, b"instance_id=50%&x=", Some("50%")),
            (form, b"instance_id=%zz%4", Some("%zz%4")),
            (form, b"my_instance_id=x", None),
            (form, b"instance_id=", None),
            (form, b"\xff\xfe", None),
            (json, br#"{"instance_id": "i-node-1", "hostname": "node-1"}"#, Some("i-node-1")),
            (json, br#"{"instance_id": 7}"#, None),
            (json, b"instance_id=x", None),
        ];
        for (kind, body, expected) in cases {
            assert_eq!(instance_id(kind, body).as_deref(), expected, "{}", String::from_utf8_lossy(body));
        }
        let long = [b"instance_id=".as_slice(), &[b'a'; 4000]].concat();
        assert_eq!(instance_id(form, &long).unwrap().len(), INSTANCE_ID_CHARS);
    }
}
