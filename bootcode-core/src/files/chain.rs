//! Several sources as one.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Blob, FileError, FileRequest, FileSource};

/// Sources by prefix, asked in the order they were added; the first that has the file answers.
#[derive(Default, Clone)]
pub struct Chain {
    links: Vec<(Option<String>, Arc<dyn FileSource>)>,
}

impl Chain {
    /// Without a source: has no file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source that is asked for every name.
    #[must_use]
    pub fn with(mut self, source: Arc<dyn FileSource>) -> Self {
        self.links.push((None, source));
        self
    }

    /// Adds a source that is asked for names below `prefix`, without it.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>, source: Arc<dyn FileSource>) -> Self {
        self.links.push((Some(prefix.into()), source));
        self
    }
}

#[async_trait]
impl FileSource for Chain {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        for (prefix, source) in &self.links {
            let name = match prefix {
                None => request.name.clone(),
                Some(prefix) => match request.name.below(prefix) {
                    None => continue,
                    Some(rest) => rest,
                },
            };
            if let Some(blob) = source.open(&FileRequest { name, peer: request.peer }).await? {
                return Ok(Some(blob));
            }
        }
        Ok(None)
    }
}
