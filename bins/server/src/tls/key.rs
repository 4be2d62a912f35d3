//! Private keys, made here.

use rcgen::KeyPair;
use rsa::{PrivateKey, pkcs8::EncodePrivateKey as _};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::{Audience, AuthorityError};

/// Bits of the authority's key: good for longer than the ten years that it lasts (NIST SP 800-57 part 1, table 2).
const AUTHORITY_BITS: usize = 3072;
/// Bits of machines' certificate: the least that rustls and ring take, and the most that the slowest firmware should have to work through.
const MACHINES_BITS: usize = 2048;

/// Of a new authority. RSA, because iPXE learned elliptic curves in 2024 only, and has to follow the signature up to here.
pub(super) fn authority() -> Result<KeyPair, AuthorityError> {
    rsa(AUTHORITY_BITS)
}

/// Of a certificate for these.
pub(super) fn of(audience: Audience) -> Result<KeyPair, AuthorityError> {
    match audience {
        Audience::Operators => Ok(KeyPair::generate()?),
        Audience::Machines => rsa(MACHINES_BITS),
    }
}

fn rsa(bits: usize) -> Result<KeyPair, AuthorityError> {
    let key = PrivateKey::new(&mut getrandom::SysRng, bits)?;
    let document = key.to_pkcs8_der().map_err(rsa::Error::from)?;
    let bytes = Zeroizing::new(document.as_bytes().to_vec());
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(bytes.as_slice()));
    Ok(KeyPair::try_from(&der)?)
}
