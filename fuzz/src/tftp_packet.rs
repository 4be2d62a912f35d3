use bootcode_tftp::tftp::Packet;

/// What is read is written as something that is read alike.
pub fn tftp_packet(bytes: &[u8]) {
    let Ok(packet) = Packet::parse(bytes) else { return };
    let mut written = Vec::new();
    packet.encode(&mut written);
    assert_eq!(Packet::parse(&written), Ok(packet));
}
