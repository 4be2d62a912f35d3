//! What several tests share.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

#[cfg(feature = "registry")]
pub mod layout;
pub mod peers;
#[cfg(feature = "registry")]
pub mod registry;
pub mod tftp;

use std::sync::{Arc, Mutex};

use bootcode_core::timeline::{BootEvent, BootEventKind, BootRecorder, Subject};

/// Keeps what was recorded.
#[derive(Default, Clone)]
pub struct Timeline(Arc<Mutex<Vec<BootEvent>>>);

impl BootRecorder for Timeline {
    fn record(&self, event: BootEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Timeline {
    /// What was recorded so far, in order.
    pub fn kinds(&self) -> Vec<BootEventKind> {
        self.0.lock().unwrap().iter().map(|event| event.kind.clone()).collect()
    }

    pub fn subjects(&self) -> Vec<Subject> {
        self.0.lock().unwrap().iter().map(|event| event.subject.clone()).collect()
    }

    /// Waits until as many events were recorded.
    pub async fn of_len(&self, len: usize) -> Vec<BootEventKind> {
        let enough = async {
            while self.kinds().len() < len {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), enough).await;
        assert!(waited.is_ok(), "only {:?} were recorded", self.kinds());
        self.kinds()
    }
}

/// Bytes that differ from place to place.
pub fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}
