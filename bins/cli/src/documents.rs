//! Documents from files, directories and standard input.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use bootcode_api::{
    ClientError,
    routes::{File, Files, Problem},
};
use bootcode_core::{
    clock::Timestamp,
    document::{self, DocumentSet, Origin, TreeError},
    limits::YAML_FILE_BYTES,
    yaml::{self, Faults},
};

use crate::{error::CliError, faults, show};

/// Every document file that the paths name, directories in the order of their files' names.
pub(crate) fn collect(paths: &[PathBuf]) -> Result<Files, CliError> {
    let (mut files, mut faults) = (Files::default(), Faults::default());
    for path in paths {
        let read = if path.as_os_str() == "-" { standard_input() } else { tree(path) };
        match read {
            Ok(read) => files.files.extend(read.into_iter().map(|(name, text)| File { name, text })),
            Err(CliError::Faults { faults: refused, .. }) => faults.extend(refused),
            Err(error) => return Err(error),
        }
    }
    match faults.or_ok(()) {
        Ok(()) => Ok(files),
        Err(faults) => Err(CliError::Faults { faults, files, offline: false }),
    }
}

/// What a server says of these files: faults are shown in their text.
pub(crate) fn answered<T>(answer: Result<T, ClientError>, files: &Files) -> Result<T, CliError> {
    answer.map_err(|error| match error {
        ClientError::Problem(Problem::Faults { faults }) => {
            CliError::Faults { faults, files: files.clone(), offline: false }
        }
        error => CliError::Client(error),
    })
}

fn refused(faults: Faults) -> CliError {
    CliError::Faults { faults, files: Files::default(), offline: false }
}

fn tree(path: &Path) -> Result<Vec<(String, String)>, CliError> {
    match document::read_tree(path) {
        Ok(files) if files.is_empty() => Err(CliError::Empty { path: path.to_owned() }),
        Ok(files) => Ok(files),
        Err(TreeError::Faults(faults)) => Err(refused(faults)),
        Err(error) => Err(CliError::Input(error)),
    }
}

fn standard_input() -> Result<Vec<(String, String)>, CliError> {
    let name = "standard input";
    let failed = |source| CliError::Input(TreeError::Read { path: name.into(), source });
    let mut bytes = Vec::new();
    // One more than a file may have: reading its text says that it is too much.
    io::stdin().lock().take(YAML_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let text = yaml::utf8(name, &bytes).map_err(refused)?;
    Ok(vec![(name.to_owned(), text.to_owned())])
}

/// Reads and checks documents as a server without any others would.
pub(crate) fn checked(paths: &[PathBuf]) -> Result<(DocumentSet, Files), CliError> {
    let files = collect(paths)?;
    let texts: Vec<(&str, &str)> =
        files.files.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
    match document::validate(&texts, &[], Origin::Operator, Timestamp::now()) {
        Ok(set) if set.is_empty() => Err(CliError::NoDocuments),
        Ok(set) => Ok((set, files)),
        Err(faults) => Err(CliError::Faults { faults, files, offline: true }),
    }
}

/// Says whether documents are valid.
pub(crate) fn validate(paths: &[PathBuf]) -> Result<(), CliError> {
    let (set, files) = checked(paths)?;
    faults::warn(set.warnings(), &files);
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let verb = if set.len() == 1 { "is" } else { "are" };
    let (documents, count) = (counted(set.len(), "document"), counted(files.files.len(), "file"));
    show::line(&format!("{documents} in {count} {verb} valid"))
}
