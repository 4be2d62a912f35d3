//! Functions of Sprig that templates here never have, and why.

const OUTSIDE: &str = "templates see no environment, network or randomness";
const SECRETS: &str = "keys and passwords are made by chance; make them once and hand them in as a Secret";

const NEVER: [(&[&str], &str); 3] = [
    (
        &[
            "env",
            "expandenv",
            "getHostByName",
            "randAlphaNum",
            "randAlpha",
            "randAscii",
            "randNumeric",
            "randInt",
            "randBytes",
            "uuidv4",
            "shuffle",
            "hello",
        ],
        OUTSIDE,
    ),
    (
        &[
            "bcrypt",
            "htpasswd",
            "genPrivateKey",
            "derivePassword",
            "buildCustomCert",
            "genCA",
            "genCAWithKey",
            "genSelfSignedCert",
            "genSelfSignedCertWithKey",
            "genSignedCert",
            "genSignedCertWithKey",
            "encryptAES",
            "decryptAES",
        ],
        SECRETS,
    ),
    (&["urlParse", "urlJoin"], "write the address out, or take it apart with regexFind"),
];

/// Why there is no function of this name, where Sprig has one.
pub(in crate::template) fn reason(name: &str) -> Option<&'static str> {
    NEVER.iter().find(|(names, _)| names.contains(&name)).map(|(_, reason)| *reason)
}

/// The names of all.
#[cfg(test)]
pub(in crate::template) fn names() -> impl Iterator<Item = &'static str> {
    NEVER.iter().flat_map(|(names, _)| names.iter().copied())
}
