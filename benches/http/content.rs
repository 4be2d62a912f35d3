//! The files that both servers serve, and whether they serve them as they are.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    os::unix::fs::FileExt as _,
    path::Path,
};

use sha2::{Digest as _, Sha256};

use crate::client::{Client, READ_BYTES};

/// Bytes that no compression or deduplication makes less of.
pub(crate) fn write(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = io::BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = bytes ^ 0x9e37_79b9_7f4a_7c15;
    for _ in 0..bytes / 8 {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    // Read again and again from memory, never while it is still being written to the disk.
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Whether the server gives this very file, whole and in ranges.
pub(crate) fn verify(server: SocketAddr, url: &str, path: &Path) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut wanted = Sha256::new();
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => wanted.update(&buffer[..read]),
        }
    }
    let mut given = Sha256::new();
    let mut client = Client::connect(server)?;
    client.fetch(url, None, &mut buffer, |bytes| given.update(bytes))?;
    if wanted.finalize() != given.finalize() {
        return Err(io::Error::other(format!("{server} gives another content than {}", path.display())));
    }
    let (middle, end) = (len / 2 + 1, len - 1);
    let spots = [
        (0, 0),
        (1, 4095),
        (4096, 5_000_000),
        (middle, middle + 3_000_000),
        (end.saturating_sub(70_000), end),
        (end, end),
    ];
    for (first, last) in spots {
        let (first, last) = (first.min(end), last.min(end));
        let mut given = Vec::new();
        let range = format!("{first}-{last}");
        client.fetch(url, Some(&range), &mut buffer, |bytes| given.extend_from_slice(bytes))?;
        // Bounded by the spots above.
        let mut wanted = vec![0; (last - first + 1) as usize];
        file.read_exact_at(&mut wanted, first)?;
        if given != wanted {
            return Err(io::Error::other(format!("{server} gives another range {range} than the file has")));
        }
    }
    Ok(())
}
