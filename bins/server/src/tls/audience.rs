//! Whom a certificate of the server's is shown to.

/// The two do not get one: what reads an operator's certificate is of this year, what reads a machine's may be a ROM of 2015.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Operators and their tools.
    Operators,
    /// Firmware, boot loaders, installers and installed systems.
    Machines,
}

impl Audience {
    /// All.
    pub(super) const ALL: [Self; 2] = [Self::Operators, Self::Machines];

    /// The files that `bootcode-server ca` makes in the data directory: the certificate and its key.
    pub(super) const fn files(self) -> [&'static str; 2] {
        match self {
            Self::Operators => ["tls.pem", "tls.key"],
            Self::Machines => ["machines.pem", "machines.key"],
        }
    }

    /// The keys of the configuration that name others.
    pub(super) const fn keys(self) -> [&'static str; 2] {
        match self {
            Self::Operators => ["api.tls.certificate", "api.tls.key"],
            Self::Machines => ["http.tls.certificate", "http.tls.key"],
        }
    }

    /// Who they are, for the log.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Operators => "operators",
            Self::Machines => "machines",
        }
    }
}
