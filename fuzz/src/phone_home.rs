use bootcode_metadata::{limits::INSTANCE_ID_CHARS, phone_home};

/// An instance id is bounded and printable, so that it can stand in a log.
pub fn phone_home(bytes: &[u8]) {
    for content_type in [b"application/x-www-form-urlencoded".as_slice(), b"application/json"] {
        let Some(id) = phone_home::instance_id(content_type, bytes) else { continue };
        assert!((1..=INSTANCE_ID_CHARS).contains(&id.len()), "{id:?}");
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "{id:?}");
    }
}
