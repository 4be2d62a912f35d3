//! The port to a template language.

use serde_json::Value;

use crate::yaml::Fault;

/// Renders a template with data.
pub trait Renderer: Send + Sync {
    /// The rendered text.
    ///
    /// # Errors
    /// Where the template is not well-formed, asks for what the data does not have, or exceeds a bound.
    fn render(&self, source: &str, data: &Value) -> Result<String, RenderError>;
}

/// A template cannot be rendered. The messages never hold rendered text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// It is not well-formed.
    #[error("{line}:{column}: {message}")]
    Syntax {
        /// Counts from 1.
        line: u32,
        /// Counts from 1.
        column: u32,
        /// What is wrong.
        message: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// It failed with this data.
    #[error("{line}:{column}: {message}")]
    Execution {
        /// Counts from 1; 0: unknown.
        line: u32,
        /// Counts from 1; 0: unknown.
        column: u32,
        /// What is wrong.
        message: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// It is larger than it may be.
    #[error("the template has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// It prints more than it may.
    #[error("the template prints, or a function makes, more than {limit} bytes")]
    PrintsTooMuch {
        /// Counts from 1.
        line: u32,
        /// Counts from 1.
        column: u32,
        /// What it may print.
        limit: usize,
    },
    /// It does more than it may.
    #[error("the template does not come to its end within {limit} steps")]
    WorksTooMuch {
        /// Counts from 1.
        line: u32,
        /// Counts from 1.
        column: u32,
        /// The steps that it may take.
        limit: u64,
    },
}

impl RenderError {
    /// As a fault of the file `template`.
    #[must_use]
    pub fn into_fault(self, template: &str) -> Fault {
        let (line, column, message, suggestion) = match self {
            Self::Syntax { line, column, message, suggestion }
            | Self::Execution { line, column, message, suggestion } => (line, column, message, suggestion),
            Self::PrintsTooMuch { line, column, .. } | Self::WorksTooMuch { line, column, .. } => {
                (line, column, self.to_string(), None)
            }
            Self::TooLarge { .. } => (0, 0, self.to_string(), None),
        };
        Fault { file: template.to_owned(), line, column, path: String::new(), message, suggestion }
    }
}
