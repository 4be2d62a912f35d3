//! What developers run: `cargo xtask lab`, `test`, `sim`, `osie`, `images`, `setup`.

mod bench;
mod build;
mod debian_root;
mod disk_loader;
mod docker;
mod error;
mod fuzz;
mod images;
mod interrupt;
mod kickstart;
mod lab;
mod osie;
mod run;
mod setup;
mod sim;
mod test;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{TaskError, with_causes};
use crate::fuzz::FuzzFlags;
use crate::interrupt::Interrupt;
use crate::lab::plan::LabFlags;
use crate::run::{cargo, run, step};
use crate::setup::{Consent, Purpose};
use crate::sim::SimFlags;
use crate::test::TestFlags;
use crate::workspace::Workspace;

/// The tasks of Bootcode's developers.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Provision a blank virtual machine, from PXE to an installed Debian that has phoned home.
    Lab(LabFlags),
    /// Run all that continuous integration runs.
    Test(TestFlags),
    /// Simulate the engine, its store and its workers by seed, with everything that can go wrong.
    Sim(SimFlags),
    /// Start a server with defaults beside a dnsmasq on one wire, and see that it sends no DHCP reply.
    Beside {
        /// Install missing packages without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Build the in-memory operating system into target/osie.
    Osie {
        /// Install missing packages without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Build the actions as an OCI layout into target/images.
    Images {
        /// Install missing packages without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Fuzz what reads the wire or a file, each target for some minutes.
    Fuzz(FuzzFlags),
    /// Run the benchmarks.
    Bench {
        /// `core`, `dhcp`, `http`, `metadata` or `tftp`: what is promised of it, as a table, failing where a figure is missed; `dhcp` runs beside
        /// Kea, `tftp` beside dnsmasq, the others beside nginx, and all four need root. Else those whose name contains this.
        name: Option<String>,
        /// Of those five these parts alone; one that there is not says which there are.
        parts: Vec<String>,
    },
    /// Install what the tasks need on this machine.
    Setup {
        /// Install without asking.
        #[arg(long)]
        yes: bool,
    },
    /// What `lab` starts inside its namespaces.
    #[command(hide = true)]
    Inside {
        /// The plan that `lab` wrote.
        plan: PathBuf,
    },
}

/// As a shell counts a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let workspace = Workspace::locate();
    let interrupt = Interrupt::listen();
    match perform(&cli.task, &workspace, &interrupt) {
        Ok(()) => ExitCode::SUCCESS,
        // What was interrupted says why in its own words; Ctrl-C is the cause.
        Err(_) if interrupt.is_set() => {
            eprintln!("error: {}", TaskError::Interrupted);
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

fn perform(task: &Task, workspace: &Workspace, interrupt: &Interrupt) -> Result<(), TaskError> {
    match task {
        Task::Lab(flags) => lab::lab(workspace, flags, interrupt),
        Task::Test(flags) => test::test(workspace, *flags, interrupt),
        Task::Sim(flags) => sim::sim(workspace, *flags),
        Task::Beside { yes } => lab::beside(workspace, Consent::from_flag(*yes), interrupt),
        Task::Osie { yes } => {
            setup::packages(Purpose::Lab, Consent::from_flag(*yes))?;
            step("OSIE", || osie::build(workspace))
        }
        Task::Images { yes } => {
            setup::packages(Purpose::Lab, Consent::from_flag(*yes))?;
            step("action images", || build::images(workspace))
        }
        Task::Bench { name: Some(name), parts } if bench::BESIDE.contains(&name.as_str()) => {
            bench::beside(workspace, name, parts)
        }
        Task::Bench { name, parts } => {
            let which: &[&str] = match name.as_deref() {
                Some("core") => &["--bench", "core", "--"],
                Some(name) => &["--bench", "workflow", "--bench", "boot", "--", name],
                None => &[],
            };
            run(cargo()
                .current_dir(&workspace.root)
                .args(["bench", "-p", "bootcode-benches"])
                .args(which)
                .args(parts))
        }
        Task::Fuzz(flags) => fuzz::fuzz(workspace, flags),
        Task::Setup { yes } => setup::everything(workspace, Consent::from_flag(*yes)),
        Task::Inside { plan } => lab::inside(workspace, plan, interrupt),
    }
}
