//! Packages of the distribution: found with apt, kept in the cache, unpacked, never installed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::command::{output, tool};
use super::control::Package;
use super::error::BuildError;
use crate::limits::PACKAGES;

const UPDATE: &str = "; if apt's lists are old, run `apt-get update`";

/// `name` and, over and over, those of the packages it depends on whose names `follow` accepts: the versions that apt
/// would install, by name.
pub(super) fn closure(name: &str, follow: impl Fn(&str) -> bool) -> Result<Vec<Package>, BuildError> {
    let mut found: BTreeMap<String, Package> = BTreeMap::new();
    let mut asked = BTreeSet::new();
    let mut next = BTreeSet::from([name.to_owned()]);
    while !next.is_empty() {
        // A virtual package has no entry; whatever was needed from it is missed later, by its name.
        let packages = candidates(&next)?;
        asked.append(&mut next);
        let depends = packages.iter().flat_map(|package| &package.depends);
        next = depends.filter(|name| follow(name) && !asked.contains(*name)).cloned().collect();
        found.extend(packages.into_iter().map(|package| (package.name.clone(), package)));
        if found.len() > PACKAGES {
            return Err(BuildError::PackagesTooMany { name: name.to_owned(), limit: PACKAGES });
        }
    }
    if found.contains_key(name) {
        Ok(found.into_values().collect())
    } else {
        Err(BuildError::PackageUnknown { names: name.to_owned() })
    }
}

/// What apt knows of `names`, all in one question since each takes apt half a second.
fn candidates(names: &BTreeSet<String>) -> Result<Vec<Package>, BuildError> {
    let mut command = tool("apt-cache");
    command.args(["show", "--no-all-versions", "--"]).args(names);
    match output(&mut command, "apt", UPDATE) {
        Ok(text) => Ok(String::from_utf8_lossy(&text).split("\n\n").filter_map(Package::parse).collect()),
        // apt-cache ends with 100 when it knows none of the names.
        Err(BuildError::Command { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// One digest for what a set of packages holds, in hex.
pub(super) fn digest(packages: &[Package]) -> String {
    let all: Vec<&str> = packages.iter().map(|package| package.sha256.as_str()).collect();
    hex(&Sha256::digest(all.join("\n")))
}

/// The directory with all `packages` unpacked over each other, from the cache or made now. `finish` completes a new
/// tree before it is kept.
pub(super) fn unpacked(
    packages: &[Package],
    cache: &Path,
    finish: impl FnOnce(&Path) -> Result<(), BuildError>,
) -> Result<PathBuf, BuildError> {
    let tree = cache.join("unpacked").join(&digest(packages)[..32]);
    if tree.exists() {
        return Ok(tree);
    }
    let files = packages.iter().map(|package| fetch(package, cache)).collect::<Result<Vec<_>, _>>()?;
    let partial = partial_beside(&tree)?;
    for file in files {
        let mut command = tool("dpkg-deb");
        command.arg("--extract").arg(file).arg(&partial);
        output(&mut command, "dpkg", "")?;
    }
    finish(&partial)?;
    keep(&partial, &tree)?;
    Ok(tree)
}

/// The package's file, from the cache or downloaded now and checked against apt's index.
fn fetch(package: &Package, cache: &Path) -> Result<PathBuf, BuildError> {
    let directory = cache.join("packages");
    let kept = directory.join(format!("{}_{}.deb", package.name, package.sha256));
    if kept.exists() {
        return Ok(kept);
    }
    eprintln!("osie: downloading {} {}", package.name, package.version);
    let partial = partial_beside(&kept)?;
    let mut command = tool("apt-get");
    // apt warns when its own user may not write here; the download is checked below whoever made it.
    command.args(["download", "-q", "-o", "APT::Sandbox::User=root"]);
    command.arg(format!("{}={}", package.name, package.version)).current_dir(&partial);
    output(&mut command, "apt", UPDATE)?;
    let entries = fs::read_dir(&partial).map_err(BuildError::file("read", &partial))?;
    let missing = || BuildError::PackageContent {
        package: package.name.clone(),
        file: "file that apt-get downloaded".into(),
    };
    let file = entries.flatten().map(|entry| entry.path()).next().ok_or_else(missing)?;
    let found = hex(&Sha256::digest(fs::read(&file).map_err(BuildError::file("read", &file))?));
    if found != package.sha256 {
        let Package { name, version, sha256: expected, .. } = package.clone();
        return Err(BuildError::PackageDigest { name, version, expected, found });
    }
    keep(&file, &kept)?;
    let _ = fs::remove_dir_all(&partial);
    Ok(kept)
}

/// An empty directory of this process beside `path`: what is in `path` itself is always whole.
fn partial_beside(path: &Path) -> Result<PathBuf, BuildError> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(BuildError::file("remove", &partial)(error)),
        _ => fs::create_dir_all(&partial).map_err(BuildError::file("make", &partial)),
    }?;
    Ok(partial)
}

/// Moves what is whole to its name; somebody else's that came first is as good.
fn keep(from: &Path, to: &Path) -> Result<(), BuildError> {
    match fs::rename(from, to) {
        Err(_) if to.exists() => {
            let _ = fs::remove_dir_all(from);
            Ok(())
        }
        renamed => renamed.map_err(BuildError::file("make", to)),
    }
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
