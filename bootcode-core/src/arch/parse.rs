//! Architectures as people write them: by number, by the name of their platform, by that of the registry.

use std::str::FromStr;

use super::{ClientArch, Platform};

/// The text names no architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no architecture: write its number in IANA's registry, as in 7, or one of {}", names().join(", "))]
pub struct ClientArchError {
    /// What was read.
    pub text: String,
}

impl FromStr for ClientArch {
    type Err = ClientArchError;

    /// Reads `7`, `x64-efi`, `x64-efi-http` for the row whose firmware fetches by HTTP, and `x64 UEFI`; in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = text.trim();
        if let Ok(number) = wanted.parse() {
            return Ok(Self(number));
        }
        let is = |name: &str| name.eq_ignore_ascii_case(wanted);
        Self::all()
            .find(|arch| arch.name().is_some_and(is))
            .or_else(|| Self::all().find(|arch| arch.written().is_some_and(|name| is(&name))))
            .ok_or_else(|| ClientArchError { text: text.chars().take(40).collect() })
    }
}

impl ClientArch {
    /// Its platform as documents write it, `-http` after it where the firmware fetches by HTTP.
    fn written(self) -> Option<String> {
        let http = if self.is_http() { "-http" } else { "" };
        Some(format!("{}{http}", self.platform()?.name()))
    }
}

/// Those that have a boot file without further words, and the ones of their kind that fetch it by HTTP.
fn names() -> Vec<String> {
    let mut names: Vec<String> = ClientArch::all()
        .filter(|arch| arch.platform().and_then(Platform::nbp).is_some())
        .filter_map(ClientArch::written)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read_by_its_number_and_name_and_platforms_by_theirs() {
        for arch in ClientArch::all() {
            assert_eq!(arch.0.to_string().parse(), Ok(arch));
            assert_eq!(arch.name().unwrap().parse(), Ok(arch));
            let written: ClientArch = arch.written().unwrap().to_uppercase().parse().unwrap();
            assert_eq!((written.platform(), written.is_http()), (arch.platform(), arch.is_http()));
        }
        for (text, number) in [
            ("bios", 0),
            ("x64-efi", 7),
            ("x64-efi-http", 16),
            ("arm64-efi", 11),
            ("ia32-efi", 6),
            ("raspberry-pi", 41),
            ("EBC", 9),
            (" 99 ", 99),
        ] {
            assert_eq!(text.parse(), Ok(ClientArch(number)), "{text}");
        }
    }

    #[test]
    fn what_names_none_is_told_what_would() {
        for text in ["", "x64", "-1", "65536", "0x7", "x64-efi-tftp"] {
            let error = text.parse::<ClientArch>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}` is no architecture")), "{error}");
            assert!(error.contains("as in 7, or one of arm64-efi, arm64-efi-http, bios, "), "{error}");
        }
    }
}
