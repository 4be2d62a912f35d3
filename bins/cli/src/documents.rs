//! Documents from files, directories and standard input.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bootcode_api::routes::{File, Files};
use bootcode_core::{
    document::{self, Origin},
    yaml,
};

use crate::{error::CliError, show};

/// Every document file that the paths name, directories in the order of their files' names.
pub(crate) fn collect(paths: &[PathBuf]) -> Result<Files, CliError> {
    let mut files = Files::default();
    for path in paths {
        if path.as_os_str() == "-" {
            let bytes = {
                let mut bytes = Vec::new();
                io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes)
                    .map_err(|source| CliError::Input { path: path.clone(), source })?;
                bytes
            };
            files.files.push(file("standard input".to_owned(), &bytes)?);
            continue;
        }
        let before = files.files.len();
        collect_path(path, &mut files)?;
        if files.files.len() == before {
            return Err(CliError::Empty { path: path.clone() });
        }
    }
    Ok(files)
}

fn collect_path(path: &Path, files: &mut Files) -> Result<(), CliError> {
    let failed = |source| CliError::Input { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        files.files.push(file(path.display().to_string(), &fs::read(path).map_err(failed)?)?);
        return Ok(());
    }
    let mut entries = fs::read_dir(path)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        })
        .map_err(failed)?;
    entries.sort();
    for entry in entries {
        let is_document =
            entry.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_document || entry.is_dir() {
            collect_path(&entry, files)?;
        }
    }
    Ok(())
}

fn file(name: String, bytes: &[u8]) -> Result<File, CliError> {
    let text = yaml::utf8(&name, bytes).map_err(CliError::Faults)?.to_owned();
    Ok(File { name, text })
}

/// Checks documents as a server without any others would.
pub(crate) fn validate(paths: &[PathBuf]) -> Result<(), CliError> {
    let files = collect(paths)?;
    let texts: Vec<(&str, &str)> =
        files.files.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
    let set = document::validate(&texts, &[], Origin::Operator).map_err(CliError::Faults)?;
    show::line(&format!("{} documents in {} files are valid", set.len(), files.files.len()))
}
