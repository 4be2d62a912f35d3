//! Replays every committed input, and each of them cut short and with single bytes changed.

use std::{fs, path::Path};

use bootcode_fuzz::TARGETS;

/// Bytes of an input that are changed one by one: the whole of most, the fixed fields and the first line of others.
const CHANGED_BYTES: usize = 160;

#[test]
fn what_must_hold_holds_for_the_corpus_and_its_neighbours() {
    for (name, check) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            println!("{}", path.display());
            check(&bytes);
            neighbours(&bytes, check);
            files += 1;
        }
        assert!(files >= 2, "{} holds one input that is accepted and one that is not", folder.display());
    }
}

#[test]
fn every_corpus_belongs_to_a_target() {
    let corpora = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap();
    for corpus in corpora {
        let name = corpus.unwrap().file_name();
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "{name:?} has no target");
    }
}

fn neighbours(bytes: &[u8], check: fn(&[u8])) {
    for end in 0..bytes.len().min(CHANGED_BYTES) {
        check(&bytes[..end]);
    }
    let mut changed = bytes.to_vec();
    for at in 0..bytes.len().min(CHANGED_BYTES) {
        for byte in [0, b'/', b'.', b'%', 0x7f, 0xff, bytes[at] ^ 1] {
            changed[at] = byte;
            check(&changed);
        }
        changed[at] = bytes[at];
    }
}
