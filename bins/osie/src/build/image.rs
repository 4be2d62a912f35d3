//! The build from start to end.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::command::{output, tool};
use super::error::BuildError;
use super::initramfs::assemble;
use super::kernel::Kernel;
use super::options::BuildOptions;
use super::packages::hex;
use super::programs::Programs;
use super::runtime::Runtime;
use crate::limits::DOWNLOAD_BYTES;

/// What a build made, or found made already.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Built {
    /// `vmlinuz-x86_64`.
    pub kernel: PathBuf,
    /// Its size.
    pub kernel_bytes: u64,
    /// `initramfs-x86_64`.
    pub initramfs: PathBuf,
    /// Its size.
    pub initramfs_bytes: u64,
    /// The kernel's release, as `uname -r` says it.
    pub kernel_release: String,
    /// Whether the files were written now; `false` when they were made from the same parts before.
    pub written: bool,
}

/// Builds OSIE: kernel and initramfs in `options.out`. The same packages and programs give the same bytes; what is up to
/// date is left alone. Says on stderr what it does. Blocks, for minutes when the cache is empty.
///
/// # Errors
/// A package, program or file that is missing or wrong, or a result over [`DOWNLOAD_BYTES`]. What was in `options.out`
/// before is left as it was.
pub fn build(options: &BuildOptions) -> Result<Built, BuildError> {
    if std::env::consts::ARCH != "x86_64" {
        return Err(BuildError::Architecture { arch: std::env::consts::ARCH });
    }
    let kernel = Kernel::fetch(&options.kernel_packages, &options.cache)?;
    let runtime = Runtime::fetch(&options.cache)?;
    eprintln!("osie: kernel {}, crun {}; building init and worker", kernel.version, runtime.version);
    let programs = Programs::build(options)?;

    fs::create_dir_all(&options.out).map_err(BuildError::file("make", &options.out))?;
    let parts = parts(&kernel, &runtime, &programs);
    let stamp = options.out.join("parts.sha256");
    let (vmlinuz, initramfs) = (options.out.join("vmlinuz-x86_64"), options.out.join("initramfs-x86_64"));
    let written = fs::read_to_string(&stamp).ok().as_deref() != Some(&parts)
        || !vmlinuz.exists()
        || !initramfs.exists();
    if written {
        let (archive, modules) = assemble(&kernel, &runtime, programs)?;
        let plain = archive.to_bytes();
        eprintln!("osie: {modules} modules, {} KiB; compressing", plain.len() / 1024);
        let image = kernel.image();
        let image = fs::read(&image).map_err(BuildError::file("read", &image))?;
        let compressed = compress(&plain, &options.out)?;
        check_size(image.len() as u64, compressed.len() as u64)?;
        // Without the stamp a run that ends in the middle is made anew.
        let _ = fs::remove_file(&stamp);
        replace(&vmlinuz, &image)?;
        replace(&initramfs, &compressed)?;
        replace(&stamp, parts.as_bytes())?;
    }
    let built = Built {
        kernel_bytes: size(&vmlinuz)?,
        kernel: vmlinuz,
        initramfs_bytes: size(&initramfs)?,
        initramfs,
        kernel_release: kernel.version,
        written,
    };
    let state = if written { "written" } else { "up to date" };
    let (image, archive) = (built.kernel_bytes / 1024, built.initramfs_bytes / 1024);
    eprintln!(
        "osie: {state}: {} {image} KiB, {} {archive} KiB",
        built.kernel.display(),
        built.initramfs.display()
    );
    Ok(built)
}

/// One digest for all that the result is made from, this builder included.
fn parts(kernel: &Kernel, runtime: &Runtime, programs: &Programs) -> String {
    // Raised when the same parts are put together in another way.
    const LAYOUT: &str = "1";
    let init = hex(&Sha256::digest(&programs.init));
    let worker = hex(&Sha256::digest(&programs.worker));
    hex(&Sha256::digest([LAYOUT, &kernel.digest, &runtime.digest, &init, &worker].join("\n")))
}

/// zstd: Debian's and Ubuntu's kernels unpack it, several times faster than gzip's.
fn compress(plain: &[u8], directory: &Path) -> Result<Vec<u8>, BuildError> {
    let path = directory.join(format!("initramfs.partial-{}", std::process::id()));
    fs::write(&path, plain).map_err(BuildError::file("write", &path))?;
    // One thread, since more of them give other bytes.
    let compressed = output(tool("zstd").args(["-15", "--single-thread", "-q", "-c"]).arg(&path), "zstd", "");
    let _ = fs::remove_file(&path);
    compressed
}

fn check_size(kernel: u64, initramfs: u64) -> Result<(), BuildError> {
    if kernel + initramfs > DOWNLOAD_BYTES {
        return Err(BuildError::DownloadTooBig { kernel, initramfs, limit: DOWNLOAD_BYTES });
    }
    Ok(())
}

/// Writes a file so that a reader sees the old one or the new one, whole: a server may be serving it.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    fs::write(&partial, bytes).map_err(BuildError::file("write", &partial))?;
    fs::rename(&partial, path).map_err(BuildError::file("make", path))
}

fn size(path: &Path) -> Result<u64, BuildError> {
    Ok(fs::metadata(path).map_err(BuildError::file("read", path))?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_download_bound_is_refused_with_both_sizes() {
        assert!(check_size(DOWNLOAD_BYTES - 10, 10).is_ok());
        let error = check_size(DOWNLOAD_BYTES - 10, 11).unwrap_err();
        assert!(error.to_string().contains("11 bytes"), "{error}");
    }
}
