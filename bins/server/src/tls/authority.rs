//! `bootcode-server ca`: an authority of the server's own, and the certificates that it signs for the server.

use std::{net::IpAddr, path::PathBuf};

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use sha2::{Digest as _, Sha256};

use super::{Audience, CA, CA_KEY, key};
use crate::data::{DataDir, DataError};

/// How long the authority lasts.
const AUTHORITY_YEARS: i64 = 10;
/// How long the server's certificates last. Apple's programs take none of more than 825 days, whoever signed it.
const CERTIFICATE_DAYS: i64 = 800;

/// No authority or certificate could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The key that is there.
    #[error(
        "data_dir: {CA_KEY} is no private key in PEM: {source}; put it back, or remove it to begin with a new authority"
    )]
    Key {
        /// The cause.
        #[source]
        source: rcgen::Error,
    },
    /// One half of the authority is gone.
    #[error(
        "data_dir: there is {there} without {missing}; put it back, or remove the other to begin with a new authority"
    )]
    Half {
        /// What is there.
        there: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// A name that no certificate can have.
    #[error(
        "`{name}` is no name of a host and no address; write it as in provision.example, 10.0.0.1 or *.example"
    )]
    Name {
        /// What was written.
        name: String,
    },
    /// A key.
    #[error("no RSA key can be made: {0}")]
    Rsa(#[from] rsa::Error),
    /// Anything else.
    #[error("the certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// The clock.
    #[error("this host's clock is far off: {0}")]
    Clock(#[from] jiff::Error),
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// What the certificates call the server.
    pub names: Vec<String>,
    /// Their last day.
    pub until: Date,
    /// The authority's certificate, which operators and machines trust.
    pub authority: PathBuf,
    /// Whether there was no authority before.
    pub new_authority: bool,
}

/// Makes the server a certificate for each audience, with these names, by the authority of this data directory, which is made where
/// there is none.
///
/// The authority's certificate follows from its key and its first day alone, so its own is never read back.
///
/// # Errors
/// See [`AuthorityError`].
pub(crate) fn certify(
    data: &DataDir,
    names: Vec<String>,
    now: Timestamp,
) -> Result<Certified, AuthorityError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let (authority, new_authority) = match (data.text(CA_KEY)?, data.text(CA)?) {
        (Some(pem), Some(_)) => {
            (KeyPair::from_pem(&pem).map_err(|source| AuthorityError::Key { source })?, false)
        }
        (Some(_), None) => return Err(AuthorityError::Half { there: CA_KEY, missing: CA }),
        (None, Some(_)) => return Err(AuthorityError::Half { there: CA, missing: CA_KEY }),
        (None, None) => {
            let key = key::authority()?;
            let certificate = authority_of(&key, today)?.self_signed(&key)?;
            data.replace(CA_KEY, key.serialize_pem().as_bytes())?;
            data.replace(CA, certificate.pem().as_bytes())?;
            (key, true)
        }
    };
    let until = today.checked_add(Span::new().days(CERTIFICATE_DAYS))?;
    let issuer = Issuer::new(authority_of(&authority, today)?, authority);
    for audience in Audience::ALL {
        let key = key::of(audience)?;
        let certificate = server(&names, audience, today, until)?.signed_by(&key, &issuer)?;
        write(data, audience, &certificate, &key)?;
    }
    Ok(Certified { names, until, authority: data.join(CA), new_authority })
}

/// The key first: a server that reads in between finds a pair that does not fit, and goes on with the one that it has.
fn write(
    data: &DataDir,
    audience: Audience,
    certificate: &Certificate,
    key: &KeyPair,
) -> Result<(), DataError> {
    let [certificate_file, key_file] = audience.files();
    data.replace(key_file, key.serialize_pem().as_bytes())?;
    data.replace(certificate_file, certificate.pem().as_bytes())
}

fn authority_of(key: &KeyPair, first: Date) -> Result<CertificateParams, AuthorityError> {
    let mut authority = CertificateParams::default();
    // Sites are told apart: two of them in one file of trust must not have one name.
    let digest = Sha256::digest(key.der_bytes());
    let site: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    authority.distinguished_name = rcgen::DistinguishedName::new();
    authority.distinguished_name.push(DnType::CommonName, format!("Bootcode CA {site}"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasts(&mut authority, first, first.checked_add(Span::new().years(AUTHORITY_YEARS))?)?;
    Ok(authority)
}

fn server(
    names: &[String],
    audience: Audience,
    first: Date,
    last: Date,
) -> Result<CertificateParams, AuthorityError> {
    let mut server = CertificateParams::default();
    for name in names {
        let alternative = match name.parse::<IpAddr>() {
            Ok(address) => rcgen::SanType::IpAddress(address),
            Err(_) => rcgen::SanType::DnsName(
                host(name).ok_or_else(|| AuthorityError::Name { name: name.clone() })?,
            ),
        };
        server.subject_alt_names.push(alternative);
    }
    server.distinguished_name = rcgen::DistinguishedName::new();
    server.distinguished_name.push(DnType::CommonName, "bootcode-server");
    server.key_usages = match audience {
        Audience::Operators => vec![KeyUsagePurpose::DigitalSignature],
        // Old firmware checks RSA certificates for the key exchange of TLS before 1.3, whether it is used or not.
        Audience::Machines => vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment],
    };
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    lasts(&mut server, first, last)?;
    Ok(server)
}

/// A name as RFC 1123 2.1 has it; an asterisk stands for its first label.
fn host(name: &str) -> Option<rcgen::string::Ia5String> {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.strip_prefix("*.").unwrap_or(name).split('.').all(label) {
        return None;
    }
    name.try_into().ok()
}

/// From the day before, for clients whose clock is behind.
fn lasts(certificate: &mut CertificateParams, first: Date, last: Date) -> Result<(), AuthorityError> {
    let day = |date: Date| {
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        date_time_ymd(i32::from(date.year()), part(date.month()), part(date.day()))
    };
    certificate.not_before = day(first.checked_sub(Span::new().days(1))?);
    certificate.not_after = day(last);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> (tempfile::TempDir, DataDir) {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        (dir, data)
    }

    #[test]
    fn an_authority_is_made_once_and_the_certificate_each_time() {
        let (_dir, data) = data();
        let names = ["localhost", "10.0.0.1", "fd00::1", "*.lab"].map(str::to_owned).to_vec();
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let made = certify(&data, names.clone(), now).unwrap();
        assert_eq!((made.new_authority, made.until.to_string().as_str()), (true, "2029-01-31"));
        let read = |name| data.text(name).unwrap().unwrap();
        let files: Vec<_> = Audience::ALL.iter().flat_map(|audience| audience.files()).collect();
        let (ca, before): (_, Vec<_>) = (read(CA), files.iter().map(|file| read(file)).collect());
        assert!(!certify(&data, names.clone(), now).unwrap().new_authority);
        assert_eq!(read(CA), ca);
        for (file, before) in files.iter().zip(before) {
            assert_ne!(read(file), before, "{file}");
        }
    }

    #[test]
    fn an_authority_that_is_no_rsa_goes_on() {
        let (_dir, data) = data();
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let key = KeyPair::generate().unwrap();
        data.replace(CA_KEY, key.serialize_pem().as_bytes()).unwrap();
        data.replace(CA, b"its certificate").unwrap();
        assert!(!certify(&data, vec!["localhost".to_owned()], now).unwrap().new_authority);
        assert_eq!(data.text(CA_KEY).unwrap().unwrap(), key.serialize_pem());
    }

    #[test]
    fn half_an_authority_and_names_that_are_none_are_told() {
        let (dir, data) = data();
        let now = Timestamp::UNIX_EPOCH;
        for name in ["", "a b", "https://x", "a..b", "-x", "x:7443", &"a".repeat(64)] {
            let error = certify(&data, vec![name.to_owned()], now).unwrap_err();
            assert!(matches!(error, AuthorityError::Name { .. }), "{name}: {error}");
        }
        std::fs::write(dir.path().join(CA_KEY), "no key").unwrap();
        assert!(matches!(certify(&data, Vec::new(), now), Err(AuthorityError::Key { .. })));
        std::fs::remove_file(dir.path().join(CA)).unwrap();
        assert!(matches!(certify(&data, Vec::new(), now), Err(AuthorityError::Half { missing: CA, .. })));
    }
}
