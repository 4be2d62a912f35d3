//! `cargo xtask sim`: the engine with its workers, and TFTP with its clients, under thousands of random courses, each of which can
//! be run again.

use crate::error::TaskError;
use crate::run::{cargo, run};
use crate::workspace::Workspace;

/// Flags of `cargo xtask sim`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct SimFlags {
    /// What is simulated; both by default, the engine alone with `--seed` or `--guards`.
    #[arg(long, value_enum)]
    pub of: Option<Part>,
    /// Run this seed alone and print all that happens: time, who, what.
    #[arg(long, conflicts_with_all = ["seeds", "from", "guards"])]
    pub seed: Option<u64>,
    /// How many seeds.
    #[arg(long, default_value_t = 10_000)]
    pub seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// Switch each of the engine's guards off until a seed notices.
    #[arg(long, conflicts_with = "from")]
    pub guards: bool,
}

/// What is simulated.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The workflow engine and its workers.
    Workflow,
    /// The TFTP server and its clients.
    Tftp,
}

impl SimFlags {
    /// What continuous integration runs: always the same seeds, so that a failure is one for everybody.
    pub(crate) const EVERY_TIME: Self = Self { of: None, seed: None, seeds: 10_000, from: 0, guards: false };

    fn runs(self, part: Part) -> bool {
        match self.of {
            Some(only) => only == part,
            None => part == Part::Workflow || (self.seed.is_none() && !self.guards),
        }
    }

    fn arguments(self) -> Vec<String> {
        let seeds = || vec!["--seeds".to_owned(), self.seeds.to_string()];
        match self.seed {
            Some(seed) => vec!["--seed".to_owned(), seed.to_string()],
            None if self.guards => [vec!["--guards".to_owned()], seeds()].concat(),
            None => [seeds(), vec!["--from".to_owned(), self.from.to_string()]].concat(),
        }
    }
}

/// Builds the simulations, with optimisation and every assertion, and runs them.
///
/// # Errors
/// A seed failed; it was named with the rule that it broke.
pub(crate) fn sim(workspace: &Workspace, flags: SimFlags) -> Result<(), TaskError> {
    const WORKFLOW: &[&str] = &["-p", "bootcode-worker", "--features", "testing", "--example", "simulate"];
    const TFTP: &[&str] = &["-p", "bootcode-tftp", "--example", "simulate_tftp"];
    for (part, package) in [(Part::Tftp, TFTP), (Part::Workflow, WORKFLOW)] {
        if flags.runs(part) {
            run(cargo()
                .current_dir(&workspace.root)
                .args(["run", "--quiet", "--profile", "sim"])
                .args(package)
                .arg("--")
                .args(flags.arguments()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_the_programs_arguments() {
        let every = SimFlags::EVERY_TIME;
        let cases = [
            (every, "--seeds 10000 --from 0"),
            (SimFlags { seed: Some(7), ..every }, "--seed 7"),
            (SimFlags { from: 50, seeds: 5, ..every }, "--seeds 5 --from 50"),
            (SimFlags { guards: true, ..every }, "--guards --seeds 10000"),
        ];
        for (flags, expected) in cases {
            assert_eq!(flags.arguments().join(" "), expected);
        }
    }

    #[test]
    fn one_seed_belongs_to_one_part() {
        let every = SimFlags::EVERY_TIME;
        for (flags, workflow, tftp) in [
            (every, true, true),
            (SimFlags { seed: Some(7), ..every }, true, false),
            (SimFlags { guards: true, ..every }, true, false),
            (SimFlags { of: Some(Part::Tftp), seed: Some(7), ..every }, false, true),
        ] {
            assert_eq!((flags.runs(Part::Workflow), flags.runs(Part::Tftp)), (workflow, tftp), "{flags:?}");
        }
    }
}
