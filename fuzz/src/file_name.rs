use bootcode_core::{files::FileName, limits::FILE_NAME_BYTES};

/// A normalised name stays below its root, is bounded, and is its own normal form.
pub fn file_name(bytes: &[u8]) {
    let Ok(name) = FileName::normalise(bytes) else { return };
    let text = name.as_str();
    assert!(!text.is_empty() && text.len() <= FILE_NAME_BYTES, "{text:?}");
    assert!(!text.contains('\\') && !text.chars().any(char::is_control), "{text:?}");
    for part in text.split('/') {
        assert!(!matches!(part, "" | "." | ".."), "{text:?}");
    }
    assert_eq!(FileName::normalise(text.as_bytes()).as_ref(), Ok(&name));
    let path = std::path::Path::new("/root").join(text);
    assert!(path.starts_with("/root") && path != std::path::Path::new("/root"), "{path:?}");
}
