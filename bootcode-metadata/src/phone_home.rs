//! What an installed system says when it calls home: cloud-init's `phone_home` sends a form, other programs may send JSON.

use crate::limits::{HOST_KEY_BYTES, INSTANCE_ID_CHARS};

/// What a call says of the system that makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// Its instance id: printable ASCII only, at most [`INSTANCE_ID_CHARS`], for it ends up in logs. Empty where it names none.
    pub instance_id: String,
    /// Its public SSH host keys, a line each as `ssh-keygen` writes them; what is none is left out, as is one of more than
    /// [`HOST_KEY_BYTES`].
    pub host_keys: Vec<String>,
}

/// The fields of host keys, by cloud-init's names: its `post: all` sends `N/A` for those that are not there.
const HOST_KEYS: [&str; 4] = ["pub_key_ed25519", "pub_key_ecdsa", "pub_key_rsa", "pub_key_dsa"];

/// Reads a call: a JSON object where `content_type` says so, else a form (`application/x-www-form-urlencoded`, WHATWG URL 5.1).
#[must_use]
pub fn read(content_type: &[u8], body: &[u8]) -> Call {
    let json = content_type.to_ascii_lowercase().starts_with(b"application/json");
    let json: Option<serde_json::Value> = json.then(|| serde_json::from_slice(body).unwrap_or_default());
    let field = |name: &str| match &json {
        Some(json) => Some(json.get(name)?.as_str()?.as_bytes().to_vec()),
        None => body
            .split(|byte| *byte == b'&')
            .find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            .map(decode),
    };
    let graphic = field("instance_id").unwrap_or_default().into_iter().filter(u8::is_ascii_graphic);
    let instance_id = graphic.map(char::from).take(INSTANCE_ID_CHARS).collect();
    let host_keys = HOST_KEYS.into_iter().filter_map(|name| host_key(&field(name)?)).collect();
    Call { instance_id, host_keys }
}

/// A public key in OpenSSH's form: its kind, its bytes in base64, a comment.
fn host_key(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let mut words = text.split(' ');
    let (kind, key) = (words.next()?, words.next()?);
    let known = kind.starts_with("ssh-") || kind.starts_with("ecdsa-sha2-");
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    let whole = !key.is_empty() && key.bytes().all(base64) && text.len() <= HOST_KEY_BYTES;
    let line = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    (known && whole && line).then(|| text.to_owned())
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
            let found = read(kind, body).instance_id;
            assert_eq!(found, expected.unwrap_or_default(), "{}", String::from_utf8_lossy(body));
        }
        let long = [b"instance_id=".as_slice(), &[b'a'; 4000]].concat();
        assert_eq!(read(form, &long).instance_id.len(), INSTANCE_ID_CHARS);
    }

    #[test]
    fn host_keys_are_kept_and_what_is_none_is_not() {
        let ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA+/= root@node-1";
        let form = b"pub_key_dsa=N%2FA&pub_key_ed25519=ssh-ed25519+AAAAC3NzaC1lZDI1NTE5AAAA%2B%2F%3D+root%40node-1%0A&instance_id=i";
        assert_eq!(read(b"", form).host_keys, [ed25519]);
        let json =
            serde_json::json!({"pub_key_ed25519": ed25519, "pub_key_rsa": "ssh-rsa AAAA", "pub_key_dsa": 7});
        let both = read(b"application/json", json.to_string().as_bytes()).host_keys;
        assert_eq!(both, [ed25519, "ssh-rsa AAAA"]);
        let long = format!("ssh-rsa {}", "A".repeat(HOST_KEY_BYTES));
        for none in [
            "",
            "N/A",
            "ssh-rsa",
            "ssh-rsa ",
            "rsa AAAA",
            "ssh-rsa AA\x1b[2J",
            "ssh-rsa AAAA a\nssh-rsa BBBB",
            "ssh-rsa AAAA \u{202e}x",
            &long,
        ] {
            let json = serde_json::json!({"pub_key_rsa": none}).to_string();
            assert_eq!(read(b"application/json", json.as_bytes()).host_keys, [""; 0], "{none}");
        }
    }
}
