//! Where this machine's own apt gets Debian from: the root comes from there too, and goes on getting its updates there.

use std::collections::BTreeSet;
use std::process::Command;

use crate::error::TaskError;
use crate::run::capture;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Lines of a `sources.list` for this suite, its updates and its security updates; empty where this machine's apt has none of
/// them (Ubuntu, another Debian): mmdebstrap then takes its own default.
///
/// # Errors
/// apt cannot be asked.
pub(super) fn debian(suite: &str) -> Result<String, TaskError> {
    let format = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ARCHITECTURE)";
    let listed =
        capture(Command::new("apt-get").args(["indextargets", "--format", format, "Identifier: Packages"]))?;
    Ok(lines(&listed, suite))
}

fn lines(listed: &str, suite: &str) -> String {
    let wanted = [suite.to_owned(), format!("{suite}-updates"), format!("{suite}-security")];
    let line = |text: &str| {
        let [uri, release, component, architecture] = text.split('|').collect::<Vec<_>>().try_into().ok()?;
        let ours =
            wanted.iter().any(|name| name == release) && component == "main" && architecture == "amd64";
        ours.then(|| format!("deb [signed-by={KEYRING}] {} {release} main\n", uri.trim_end_matches('/')))
    };
    let all: BTreeSet<_> = listed.lines().filter_map(line).collect();
    let has_base = all.iter().any(|line| line.ends_with(&format!(" {suite} main\n")));
    if has_base { all.into_iter().collect() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_suite_s_own_archives_are_taken() {
        let listed = "http://m/debian/|bookworm|main|amd64\nhttp://m/debian/|bookworm|main|amd64\n\
            http://m/debian/|bookworm|contrib|amd64\nhttp://m/debian/|trixie|main|amd64\n\
            http://s/|bookworm-security|main|amd64\nhttp://x/|stable|main|amd64\nnonsense\n";
        let expected = format!(
            "deb [signed-by={KEYRING}] http://m/debian bookworm main\n\
             deb [signed-by={KEYRING}] http://s bookworm-security main\n"
        );
        assert_eq!(lines(listed, "bookworm"), expected);
        assert_eq!(lines("http://u/|noble|main|amd64\n", "bookworm"), "");
        assert_eq!(lines("http://s/|bookworm-security|main|amd64\n", "bookworm"), "");
    }
}
