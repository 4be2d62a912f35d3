//! What a path below `/v2/` asks for.

use super::{Digest, Reference, RegistryError, is_repository};

/// An endpoint of the specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/v2/`.
    Version,
    /// `/v2/_catalog`.
    Catalog,
    /// `/v2/<name>/tags/list`.
    Tags {
        /// The repository.
        name: String,
    },
    /// `/v2/<name>/manifests/<reference>`.
    Manifest {
        /// The repository.
        name: String,
        /// Tag or digest.
        reference: Reference,
    },
    /// `/v2/<name>/blobs/<digest>`.
    Blob {
        /// The repository.
        name: String,
        /// The digest.
        digest: Digest,
    },
    /// `/v2/<name>/blobs/uploads/`.
    Uploads {
        /// The repository.
        name: String,
    },
    /// `/v2/<name>/blobs/uploads/<id>`.
    Upload {
        /// The repository.
        name: String,
        /// Which.
        id: String,
    },
}

impl Route {
    /// Reads the part of the path behind `/v2/`. Names hold no characters that a URL would encode.
    ///
    /// # Errors
    /// `NAME_INVALID`, `DIGEST_INVALID`, `MANIFEST_UNKNOWN` for what is no tag, or [`RegistryError::NoEndpoint`].
    pub fn parse(path: &str) -> Result<Self, RegistryError> {
        match path {
            "" => return Ok(Self::Version),
            "_catalog" => return Ok(Self::Catalog),
            _ => {}
        }
        if let Some(name) = path.strip_suffix("/tags/list") {
            return Ok(Self::Tags { name: repository(name)? });
        }
        let (rest, last) = path.rsplit_once('/').ok_or(RegistryError::NoEndpoint)?;
        let digest_invalid = |error: super::DigestError| RegistryError::DigestInvalid {
            digest: last.to_owned(),
            why: error.to_string(),
        };
        if let Some(name) = rest.strip_suffix("/blobs/uploads") {
            let name = repository(name)?;
            Ok(if last.is_empty() {
                Self::Uploads { name }
            } else {
                Self::Upload { name, id: last.to_owned() }
            })
        } else if let Some(name) = rest.strip_suffix("/manifests") {
            let name = repository(name)?;
            let reference = Reference::parse(last).map_err(digest_invalid)?;
            let reference = reference.ok_or_else(|| RegistryError::ManifestUnknown {
                name: name.clone(),
                reference: last.to_owned(),
            })?;
            Ok(Self::Manifest { name, reference })
        } else if let Some(name) = rest.strip_suffix("/blobs") {
            Ok(Self::Blob { name: repository(name)?, digest: last.parse().map_err(digest_invalid)? })
        } else {
            Err(RegistryError::NoEndpoint)
        }
    }
}

fn repository(name: &str) -> Result<String, RegistryError> {
    if is_repository(name) {
        Ok(name.to_owned())
    } else {
        Err(RegistryError::NameInvalid { name: name.chars().take(crate::limits::REPOSITORY_BYTES).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_an_endpoint_or_an_error_of_the_specification() {
        let digest = Digest::of(b"");
        let name = || "a/b".to_owned();
        for (path, route) in [
            ("", Route::Version),
            ("_catalog", Route::Catalog),
            ("a/b/tags/list", Route::Tags { name: name() }),
            (
                "a/b/manifests/v3",
                Route::Manifest { name: name(), reference: Reference::Tag("v3".to_owned()) },
            ),
            (
                &format!("a/b/manifests/{digest}"),
                Route::Manifest { name: name(), reference: Reference::Digest(digest.clone()) },
            ),
            ("a/b/blobs/uploads/", Route::Uploads { name: name() }),
            ("a/b/blobs/uploads/x", Route::Upload { name: name(), id: "x".to_owned() }),
            (&format!("a/b/blobs/{digest}"), Route::Blob { name: name(), digest: digest.clone() }),
        ] {
            assert_eq!(Route::parse(path), Ok(route), "{path}");
        }
        for (path, code) in [
            ("a", "UNSUPPORTED"),
            ("a/b", "UNSUPPORTED"),
            ("a/uploads/x", "UNSUPPORTED"),
            ("A/tags/list", "NAME_INVALID"),
            ("../x/manifests/v3", "NAME_INVALID"),
            ("/manifests/v3", "NAME_INVALID"),
            ("a/manifests/", "MANIFEST_UNKNOWN"),
            ("a/manifests/.v3", "MANIFEST_UNKNOWN"),
            ("A/blobs/uploads/", "NAME_INVALID"),
            ("a/blobs/v3", "DIGEST_INVALID"),
            ("a/blobs/sha256:..", "DIGEST_INVALID"),
            ("a/manifests/sha512:00", "DIGEST_INVALID"),
        ] {
            assert_eq!(Route::parse(path).map_err(|error| error.code()), Err(code), "{path}");
        }
    }
}
