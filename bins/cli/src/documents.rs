//! Documents from files, directories and standard input.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use bootcode_api::routes::{File, Files};
use bootcode_core::{
    document::{self, Origin, TreeError},
    limits::YAML_FILE_BYTES,
    yaml::{self, Faults},
};

use crate::{error::CliError, show};

/// Every document file that the paths name, directories in the order of their files' names.
pub(crate) fn collect(paths: &[PathBuf]) -> Result<Files, CliError> {
    let (mut files, mut faults) = (Files::default(), Faults::default());
    for path in paths {
        let read = if path.as_os_str() == "-" { standard_input() } else { tree(path) };
        match read {
            Ok(read) => files.files.extend(read.into_iter().map(|(name, text)| File { name, text })),
            Err(CliError::Faults(refused)) => faults.extend(refused),
            Err(error) => return Err(error),
        }
    }
    faults.or_ok(files).map_err(CliError::Faults)
}

fn tree(path: &Path) -> Result<Vec<(String, String)>, CliError> {
    match document::read_tree(path) {
        Ok(files) if files.is_empty() => Err(CliError::Empty { path: path.to_owned() }),
        Ok(files) => Ok(files),
        Err(TreeError::Faults(faults)) => Err(CliError::Faults(faults)),
        Err(error) => Err(CliError::Input(error)),
    }
}

fn standard_input() -> Result<Vec<(String, String)>, CliError> {
    let name = "standard input";
    let failed = |source| CliError::Input(TreeError::Read { path: name.into(), source });
    let mut bytes = Vec::new();
    // One more than a file may have: reading its text says that it is too much.
    io::stdin().lock().take(YAML_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let text = yaml::utf8(name, &bytes).map_err(CliError::Faults)?;
    Ok(vec![(name.to_owned(), text.to_owned())])
}

/// Checks documents as a server without any others would.
pub(crate) fn validate(paths: &[PathBuf]) -> Result<(), CliError> {
    let files = collect(paths)?;
    let texts: Vec<(&str, &str)> =
        files.files.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
    let set = document::validate(&texts, &[], Origin::Operator).map_err(CliError::Faults)?;
    if set.is_empty() {
        return Err(CliError::NoDocuments);
    }
    show::line(&format!("{} documents in {} files are valid", set.len(), files.files.len()))
}
