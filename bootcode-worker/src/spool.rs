//! Outcomes on disk until the server has them.
//!
//! An attempt's entry is written before anything of it is done, as the failure it is if the worker dies, and replaced
//! by its outcome. So no attempt is lost, and none runs again blindly.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use bootcode_core::workflow::Report;

use crate::{agent::AttemptKey, limits};

/// A directory of reports.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
}

/// Why the spool could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// A file of it.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It holds more than it can have come to hold.
    #[error("the spool {dir} holds more than {bound} reports: is it another worker's? Give this one its own")]
    Full {
        /// Where.
        dir: PathBuf,
        /// The bound.
        bound: usize,
    },
}

impl Spool {
    /// Opens the spool, making its directory.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, SpoolError> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(fault("make", &dir))?;
        Ok(Self { dir })
    }

    /// Keeps a report, replacing one of the same attempt. Durable on return.
    ///
    /// # Errors
    /// It could not be written; what was there before stands.
    pub fn put(&self, report: &Report) -> Result<(), SpoolError> {
        let path = self.path(&AttemptKey::of_report(report));
        let partial = path.with_extension("partial");
        let bytes = serde_json::to_vec(report).map_err(|error| SpoolError::File {
            action: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        let mut file = File::create(&partial).map_err(fault("write", &partial))?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(fault("write", &partial))?;
        fs::rename(&partial, &path).map_err(fault("write", &path))?;
        self.sync()
    }

    /// Drops the report of an attempt; none there is as good.
    ///
    /// # Errors
    /// It is still there.
    pub fn remove(&self, key: &AttemptKey) -> Result<(), SpoolError> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(SpoolError::File { action: "remove", path, source })
            }
            _ => self.sync(),
        }
    }

    /// All reports, in the order of workflow, action and attempt. Files that are no whole report are removed: they
    /// were never durable.
    ///
    /// # Errors
    /// The directory cannot be read, or holds too much.
    pub fn replay(&self) -> Result<Vec<Report>, SpoolError> {
        let mut reports = Vec::new();
        let entries = fs::read_dir(&self.dir).map_err(fault("read", &self.dir))?;
        for entry in entries {
            let path = entry.map_err(fault("read", &self.dir))?.path();
            if reports.len() == limits::SPOOL_ENTRIES {
                return Err(SpoolError::Full { dir: self.dir.clone(), bound: limits::SPOOL_ENTRIES });
            }
            match read(&path) {
                Some(report) if path == self.path(&AttemptKey::of_report(&report)) => reports.push(report),
                _ => {
                    tracing::warn!(path = %path.display(), "no whole report; removed");
                    fs::remove_file(&path).map_err(fault("remove", &path))?;
                }
            }
        }
        reports.sort_by_key(AttemptKey::of_report);
        Ok(reports)
    }

    fn path(&self, key: &AttemptKey) -> PathBuf {
        // A workflow's name comes from the server: nothing of it may become a path.
        let name: String = key.workflow.bytes().take(100).map(|byte| format!("{byte:02x}")).collect();
        self.dir.join(format!("{name}-{}-{}.json", key.index, key.attempt))
    }

    fn sync(&self) -> Result<(), SpoolError> {
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(fault("write", &self.dir))
    }
}

fn read(path: &Path) -> Option<Report> {
    if path.extension()? != "json" {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(limits::SPOOL_ENTRY_BYTES).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn fault(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::File { action, path, source }
}

#[cfg(test)]
mod tests {
    use bootcode_core::workflow::Outcome;

    use super::*;

    fn report(workflow: &str, attempt: u32, outcome: Outcome) -> Report {
        Report {
            workflow: workflow.into(),
            index: 0,
            action: "wipe".into(),
            attempt,
            outcome,
            ran_ms: 7,
            disks: vec![],
            hook: None,
            outputs: None,
        }
    }

    #[test]
    fn what_was_put_is_there_after_a_restart_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path().join("spool")).unwrap();
        let (first, second) = (report("w", 1, Outcome::Succeeded), report("w", 2, Outcome::Cancelled));
        spool.put(&second).unwrap();
        spool.put(&report("w", 1, Outcome::Cancelled)).unwrap();
        spool.put(&first).unwrap();
        let again = Spool::open(dir.path().join("spool")).unwrap();
        assert_eq!(again.replay().unwrap(), [first.clone(), second.clone()]);
        again.remove(&AttemptKey::of_report(&first)).unwrap();
        again.remove(&AttemptKey::of_report(&first)).unwrap();
        assert_eq!(again.replay().unwrap(), [second]);
    }

    #[test]
    fn a_crash_at_any_byte_leaves_the_report_before_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let (intent, outcome) = (report("w", 1, Outcome::Cancelled), report("w", 1, Outcome::Succeeded));
        let bytes = serde_json::to_vec(&outcome).unwrap();
        let partial = spool.path(&AttemptKey::of_report(&outcome)).with_extension("partial");
        for cut in 0..=bytes.len() {
            spool.put(&intent).unwrap();
            fs::write(&partial, &bytes[..cut]).unwrap();
            assert_eq!(spool.replay().unwrap(), std::slice::from_ref(&intent), "cut at {cut}");
            assert!(!partial.exists());
        }
    }

    #[test]
    fn a_workflows_name_never_becomes_a_path() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path().join("spool")).unwrap();
        let odd = report("../../x/\u{0}", 1, Outcome::Succeeded);
        spool.put(&odd).unwrap();
        assert_eq!(spool.replay().unwrap(), [odd]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_foreign_directory_is_not_taken_for_a_spool() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        for attempt in 0..=u32::try_from(limits::SPOOL_ENTRIES).unwrap() {
            spool.put(&report("w", attempt, Outcome::Succeeded)).unwrap();
        }
        assert!(matches!(spool.replay(), Err(SpoolError::Full { .. })));
    }
}
