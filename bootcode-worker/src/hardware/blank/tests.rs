use std::io::Cursor;

use super::*;

const SIZE: u64 = 80 * MIB;

fn found(writes: &[(u64, &[u8])]) -> Contents {
    let mut disk = vec![0; usize::try_from(SIZE).unwrap()];
    for (at, bytes) in writes {
        let at = usize::try_from(*at).unwrap();
        disk[at..at + bytes.len()].copy_from_slice(bytes);
    }
    inspect(&mut Cursor::new(disk), SIZE).unwrap()
}

#[test]
fn zeros_are_blank() {
    assert_eq!(found(&[]), Contents { blank: true, found: String::new(), table_id: None });
}

#[test]
fn one_byte_in_the_first_or_last_mib_is_data() {
    for at in [0, 511, MIB - 1, SIZE - MIB, SIZE - 1] {
        let contents = found(&[(at, b"x")]);
        assert_eq!((contents.blank, &*contents.found), (false, "data"), "{at}");
    }
    assert!(found(&[(MIB + 17, b"x")]).blank);
}

#[test]
fn every_signature_is_found_where_it_stands() {
    for signature in &KNOWN {
        let contents = found(&[(signature.at as u64, signature.magic)]);
        assert_eq!((contents.blank, &*contents.found), (false, signature.name), "at {:#x}", signature.at);
    }
}

#[test]
fn signatures_outside_of_the_first_mib_are_found() {
    for (at, magic, name) in [
        (MIB, &b"\x0d\xd0\x01\xc0"[..], "vmfs"),
        (64 * MIB + 0x40, b"_BHRfS_M", "btrfs"),
        ((SIZE / 512 - 16) / 8 * 8 * 512, b"\xfc\x4e\x2b\xa9", "md"),
        (SIZE - 0x1_0000, b"\xfc\x4e\x2b\xa9", "md"),
        (SIZE - 512, b"\xde\x11\xde\x11", "ddf"),
    ] {
        let contents = found(&[(at, magic)]);
        assert_eq!((contents.blank, &*contents.found), (false, name), "{name} at {at:#x}");
    }
}

#[test]
fn a_gpt_gives_its_guid_even_from_its_copy() {
    let mut header = [0; 92];
    header[..8].copy_from_slice(b"EFI PART");
    for (at, byte) in header[56..72].iter_mut().enumerate() {
        *byte = u8::try_from(at).unwrap();
    }
    for at in [512, 4096, SIZE - 512, SIZE - 4096] {
        let contents = found(&[(at, &header)]);
        assert_eq!(contents.found, "gpt", "{at}");
        assert_eq!(contents.table_id.as_deref(), Some("03020100-0504-0706-0809-0a0b0c0d0e0f"));
    }
}

#[test]
fn an_mbr_is_a_table_only_with_a_partition_in_it() {
    let mut mbr = [0; 512];
    mbr[440..444].copy_from_slice(&[0x78, 0x56, 0x34, 0x12]);
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(found(&[(0, &mbr)]).found, "data");
    mbr[446 + 4] = 0x83;
    mbr[446 + 12] = 1;
    let contents = found(&[(0, &mbr)]);
    assert_eq!((&*contents.found, contents.table_id.as_deref()), ("dos", Some("12345678")), "{contents:?}");
}

#[test]
fn a_disk_that_ends_early_is_a_fault_and_a_tiny_one_is_not() {
    assert!(inspect(&mut Cursor::new(vec![0; 100]), 4096).is_err());
    assert!(inspect(&mut Cursor::new(vec![0; 100]), 100).unwrap().blank);
    assert!(inspect(&mut Cursor::new(Vec::new()), 0).unwrap().blank);
}
