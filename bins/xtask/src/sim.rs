//! `cargo xtask sim`: the engine and its workers under thousands of random courses, each of which can be run again.

use crate::error::TaskError;
use crate::run::{cargo, run};
use crate::workspace::Workspace;

/// Flags of `cargo xtask sim`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct SimFlags {
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

impl SimFlags {
    /// What continuous integration runs: always the same seeds, so that a failure is one for everybody.
    pub(crate) const EVERY_TIME: Self = Self { seed: None, seeds: 10_000, from: 0, guards: false };

    fn arguments(self) -> Vec<String> {
        let seeds = || vec!["--seeds".to_owned(), self.seeds.to_string()];
        match self.seed {
            Some(seed) => vec!["--seed".to_owned(), seed.to_string()],
            None if self.guards => [vec!["--guards".to_owned()], seeds()].concat(),
            None => [seeds(), vec!["--from".to_owned(), self.from.to_string()]].concat(),
        }
    }
}

/// Builds the simulation, with optimisation and every assertion, and runs it.
///
/// # Errors
/// A seed failed; it was named with the rule that it broke.
pub(crate) fn sim(workspace: &Workspace, flags: SimFlags) -> Result<(), TaskError> {
    let build = ["run", "--quiet", "--profile", "sim", "-p", "bootcode-worker", "--features", "testing"];
    run(cargo()
        .current_dir(&workspace.root)
        .args(build)
        .args(["--example", "simulate", "--"])
        .args(flags.arguments()))
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
}
