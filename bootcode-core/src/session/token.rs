//! Sealed tokens: claims and an HMAC-SHA256 (RFC 2104) over them, as base64url (RFC 4648 5) with a dot between.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::clock::Timestamp;

/// Characters of the longest token that is looked at: names are at most 63 characters, so ours stay below 400.
const TOKEN_CHARS: usize = 1024;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Opening a worker's session, once for each boot.
    Boot,
    /// A worker's further calls.
    Session,
    /// Metadata, and phoning home, of an installed system or an action.
    Instance,
    /// Metadata in EC2's way (IMDSv2).
    Imds,
    /// Telling the inventory of a machine that nobody declared, and being told when to restart; nothing else.
    Inventory,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// What it is good for.
    #[serde(rename = "u")]
    pub used_for: Use,
    /// The machine's name; of a token for [`Use::Inventory`] its hardware address, which is no name of a document.
    #[serde(rename = "h")]
    pub hardware: String,
    /// Random: tells this token from any other.
    #[serde(rename = "i")]
    pub id: String,
    /// What it is bound to: the kernel's boot id of a session, the workflow of an action's token, the Network of an inventory's.
    #[serde(rename = "b", default, skip_serializing_if = "String::is_empty")]
    pub bound: String,
    /// Unix seconds after which it is no longer good.
    #[serde(rename = "e")]
    pub expires: i64,
}

/// A token was not accepted. Says nothing of what a good one looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not made by this server, or changed since.
    #[error("the token is not one of this server's")]
    Forged,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Made for something else.
    #[error("the token is good for something else")]
    WrongUse,
}

/// Makes and checks tokens with one key.
#[derive(Clone)]
pub struct Sealer {
    key: [u8; 32],
}

impl Sealer {
    /// With this key, which must be random and kept.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The token that says `claims`.
    #[must_use]
    pub fn seal(&self, claims: &Claims) -> String {
        // A struct of strings and an integer has no way to fail.
        let payload = serde_json::to_vec(claims).unwrap_or_default();
        let mut token = URL_SAFE_NO_PAD.encode(&payload);
        let tag = self.mac(token.as_bytes()).finalize().into_bytes();
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(tag));
        token
    }

    /// What a token says, if it is one of ours, made for `used_for` and not expired.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn open(&self, token: &str, used_for: Use, now: Timestamp) -> Result<Claims, TokenError> {
        let claims = self.claims(token).ok_or(TokenError::Forged)?;
        if claims.used_for != used_for {
            Err(TokenError::WrongUse)
        } else if claims.expires < now.as_second() {
            Err(TokenError::Expired)
        } else {
            Ok(claims)
        }
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        if token.len() > TOKEN_CHARS {
            return None;
        }
        let (payload, tag) = token.split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        self.mac(payload.as_bytes()).verify_slice(&tag).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    fn mac(&self, payload: &[u8]) -> Hmac<Sha256> {
        // HMAC takes keys of any length, so a fixed one cannot be refused.
        #[expect(clippy::unwrap_used, reason = "a 32-byte key always fits")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).unwrap();
        mac.update(payload);
        mac
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claims() -> Claims {
        Claims {
            used_for: Use::Boot,
            hardware: "node-1".into(),
            id: "00".repeat(16),
            bound: String::new(),
            expires: 1000,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_use_until_it_expires() {
        let sealer = Sealer::new([7; 32]);
        let token = sealer.seal(&claims());
        assert_eq!(sealer.open(&token, Use::Boot, at(1000)), Ok(claims()));
        assert_eq!(sealer.open(&token, Use::Boot, at(1001)), Err(TokenError::Expired));
        assert_eq!(sealer.open(&token, Use::Session, at(0)), Err(TokenError::WrongUse));
        assert_eq!(Sealer::new([8; 32]).open(&token, Use::Boot, at(0)), Err(TokenError::Forged));
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{token}");
    }

    proptest! {
        #[test]
        fn no_changed_token_opens(position in 0usize..200, byte in any::<u8>()) {
            let sealer = Sealer::new([7; 32]);
            let token = sealer.seal(&claims());
            let mut bytes = token.clone().into_bytes();
            let position = position % bytes.len();
            bytes[position] = byte;
            if let Ok(text) = String::from_utf8(bytes) && text != token {
                prop_assert!(sealer.open(&text, Use::Boot, at(0)).is_err());
            }
        }
    }
}
