use bootcode_core::{document, limits::FAULTS};

/// Documents are read, or every fault has a place in the file; reading twice says the same.
pub fn documents(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let files = [("fuzz.yaml", text)];
    match document::read(&files) {
        Ok(set) => {
            let again = document::read(&files).expect("what was read is read again");
            assert!(set.documents().eq(again.documents()));
        }
        Err(faults) => {
            assert!(!faults.is_empty() && faults.len() <= FAULTS);
            let lines = crate::lines(text);
            for fault in &faults.0 {
                assert_eq!(fault.file, "fuzz.yaml");
                assert!(!fault.message.is_empty(), "{fault}");
                assert!(
                    usize::try_from(fault.line).is_ok_and(|line| line <= lines),
                    "{fault} of {lines} lines"
                );
            }
        }
    }
}
