//! What can go wrong in a task, and what to do about it.

use std::path::{Path, PathBuf};

/// Why a task did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TaskError {
    /// Reading or writing a file failed.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was tried: "reading", "writing", ..
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot start `{program}`: {source}; `cargo xtask setup` installs what the tasks need")]
    Start {
        /// The program, as it was called.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A program ended with a failure.
    #[error("`{command}` failed ({status}){}", after_colon(output))]
    Command {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines it wrote, when they were not on the terminal already.
        output: String,
    },
    /// Something needed is not on this machine and was not installed.
    #[error("missing on this machine: {missing}\n  mend it with: {remedy}")]
    Missing {
        /// What is missing and why it is needed.
        missing: String,
        /// The command that brings it.
        remedy: String,
    },
    /// Flags that do not go together.
    #[error("{message}")]
    Flags {
        /// Which, and what does.
        message: String,
    },
    /// Another lab of the same firmware runs.
    #[error("another lab holds {}; wait for it, or run another --firmware", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// The system does not let this user make namespaces.
    #[error(
        "cannot make the lab's own namespaces: {message}\n  run as root, or allow them: sysctl -w \
         kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)"
    )]
    Namespace {
        /// What `unshare` said.
        message: String,
    },
    /// The lab ended before the machine was provisioned.
    #[error("the lab failed at stage `{stage}`: {cause}")]
    Lab {
        /// The stage that was not reached.
        stage: String,
        /// Why, as far as it is known.
        cause: String,
    },
    /// The lab's inside ended with a failure that it has told already.
    #[error("the lab failed as told above; everything about it is in {}", dir.display())]
    Inside {
        /// The lab's directory.
        dir: PathBuf,
    },
    /// What a step promised is not so.
    #[error("{check}: {found}")]
    Check {
        /// What was looked at.
        check: &'static str,
        /// What was found instead.
        found: String,
    },
    /// An answer that cannot be understood.
    #[error("{what} is not what was expected: {found}")]
    Answer {
        /// Whose answer.
        what: &'static str,
        /// What it was, or what was wrong with it.
        found: String,
    },
    /// Building the in-memory operating system failed.
    #[error("building OSIE: {message}")]
    Osie {
        /// What its builder said, causes included.
        message: String,
    },
    /// Building the action images or the Debian root failed.
    #[error("building {what}: {message}")]
    Build {
        /// What was built.
        what: &'static str,
        /// What its builder said, causes included.
        message: String,
    },
    /// Somebody pressed Ctrl-C, or the parent went away.
    #[error("interrupted")]
    Interrupted,
}

impl TaskError {
    /// For `map_err` on file operations: remembers what was tried on which path.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}

/// An error with its causes on one line.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

fn after_colon(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(":\n{output}") }
}
