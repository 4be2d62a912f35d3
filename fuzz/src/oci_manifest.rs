use bootcode_tftp::registry::{Content, Digest, Index, is_repository, is_tag};

const TYPES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"];

/// What is kept refers to content by whole digests and has a type that goes into a header; an index lists each image by a name that finds
/// it again.
pub fn oci_manifest(bytes: &[u8]) {
    for asked in [None, Some(TYPES[0]), Some(TYPES[1])] {
        let Ok(content) = Content::parse(bytes, asked) else { continue };
        assert!(asked.is_none_or(|asked| asked == content.media_type), "{}", content.media_type);
        assert!(content.media_type.starts_with("application/vnd.") && content.media_type.is_ascii());
        for referred in content.refers_to {
            assert_eq!(referred.digest.as_str().parse::<Digest>().as_ref(), Ok(&referred.digest));
            assert!(referred.digest.hex().len() == 64 && !referred.digest.hex().contains(['/', '.']));
        }
    }
    let Ok(index) = serde_json::from_slice::<Index>(bytes) else { return };
    for repository in index.repositories() {
        let tags = index.tags(repository);
        assert!(!tags.is_empty(), "{repository}");
        for tag in tags {
            assert!(
                index.tagged(repository, tag).is_some_and(|image| image.name() == Some((repository, tag)))
            );
            // What a path can ask for is never two things.
            assert!(!is_tag(tag) || !tag.contains('/'), "{tag}");
        }
        assert!(!is_repository(repository) || !repository.contains(".."), "{repository}");
    }
}
