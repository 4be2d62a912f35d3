use bootcode_metadata::{
    limits::{HOST_KEY_BYTES, INSTANCE_ID_CHARS},
    phone_home,
};

/// An instance id and host keys are bounded and printable, so that they can stand in a log.
pub fn phone_home(bytes: &[u8]) {
    for content_type in [b"application/x-www-form-urlencoded".as_slice(), b"application/json"] {
        let call = phone_home::read(content_type, bytes);
        let id = call.instance_id;
        assert!(id.len() <= INSTANCE_ID_CHARS, "{id:?}");
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "{id:?}");
        assert!(call.host_keys.len() <= 4);
        for key in call.host_keys {
            assert!(key.len() <= HOST_KEY_BYTES, "{key:?}");
            assert!(key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{key:?}");
        }
    }
}
