//! The main job: a blank machine is switched on, and followed until it is an installed one.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::child::Child;
use super::dir::LabDir;
use super::disk::Installed;
use super::machine::Machine;
use super::plan::{Accelerator, Dhcp, LabFlags, MACHINE, WORKFLOW};
use super::report::{self, Outcome, Report, Seconds};
use super::server::{Server, Serves};
use super::stages::{Console, Stage};
use super::timeline::{self, Event, Milestones};
use super::{disk, documents, fresh, local_boot, network};
use crate::error::TaskError;
use crate::interrupt::Interrupt;
use crate::run::tail;
use crate::workspace::Workspace;

const POLL: Duration = Duration::from_secs(1);
/// How far into an action the server is killed: it has begun to work, and the shortest that is worth it is not over.
const INTO_ACTION: Duration = Duration::from_secs(3);
/// How long the server stays away after it was killed.
const AWAY: Duration = Duration::from_secs(3);
/// What the installed system wrote last reaches its disk within the commit interval of ext4 (5 s).
const SETTLE: Duration = Duration::from_secs(8);
/// Where cloud-init puts the keys of Debian's default user. (In two pieces: files of this repository name nobody's home.)
const KEYS: &str = concat!("/home", "/debian/.ssh/authorized_keys");

/// A lab that runs.
pub(crate) struct Lab<'a> {
    pub flags: &'a LabFlags,
    pub dir: LabDir,
    pub interrupt: Interrupt,
    pub server: Server,
    pub machine: Machine,
    neighbour: Option<Child>,
    start: Timestamp,
    events: Vec<Event>,
    printed: HashSet<String>,
    stage: Stage,
    finished: Option<Finished>,
    checks: Vec<&'static str>,
    local_boot: Option<f64>,
}

/// What the server told when the main job was done: later checks may take its store away.
struct Finished {
    total: f64,
    workflow: Value,
}

/// What is installed, and how the machine runs.
pub(crate) struct Given {
    pub accelerator: Accelerator,
    pub root_tar: PathBuf,
    pub root_sha256: String,
}

/// Runs the lab inside its namespaces, and writes its report.
///
/// # Errors
/// When the machine is not provisioned, or a check does not hold.
pub(crate) fn run(
    workspace: &Workspace,
    dir: &LabDir,
    flags: &LabFlags,
    given: &Given,
    interrupt: &Interrupt,
) -> Result<(), TaskError> {
    let mut lab = match Lab::power_on(workspace, dir, flags, given, interrupt) {
        Ok(lab) => lab,
        Err(error) => {
            let report = Report {
                result: Outcome::Failed,
                machine: MACHINE,
                firmware: flags.firmware.name(),
                stage: Some("start".into()),
                cause: Some(error.to_string()),
                seconds: Seconds::default(),
                boot: Vec::new(),
                actions: Vec::new(),
                checks: Vec::new(),
            };
            write(dir, &report)?;
            return Err(error);
        }
    };
    let result = lab.follow().and_then(|()| lab.check());
    lab.finish(result)
}

impl<'a> Lab<'a> {
    fn power_on(
        workspace: &Workspace,
        dir: &LabDir,
        flags: &'a LabFlags,
        given: &Given,
        interrupt: &Interrupt,
    ) -> Result<Self, TaskError> {
        network::lay()?;
        let neighbour = match flags.dhcp {
            Dhcp::Own => None,
            Dhcp::Proxy => Some(network::dnsmasq(dir)?),
        };
        let workflow = documents::write(workspace, dir, &given.root_sha256, flags)?;
        documents::serve_root(dir, &given.root_tar)?;
        flags.loader.serve(dir)?;
        let (_, second) = Machine::make_disks(dir)?;
        dir.write("second.sha256", &disk::sha256(&second)?)?;
        let mut server = Server::configure(workspace, dir, Serves::Machines)?;
        server.start(MACHINE, interrupt)?;
        server.operator().apply(&workflow)?;
        println!("    bootcode-server runs, {WORKFLOW} is applied; switching {MACHINE} on");
        let start = Timestamp::now();
        let machine = Machine::power_on(dir, flags, given.accelerator)?;
        Ok(Self {
            flags,
            dir: dir.clone(),
            interrupt: interrupt.clone(),
            server,
            machine,
            neighbour,
            start,
            events: Vec::new(),
            printed: HashSet::new(),
            stage: Stage::Script,
            finished: None,
            checks: Vec::new(),
            local_boot: None,
        })
    }

    /// Follows the machine from stage to stage.
    fn follow(&mut self) -> Result<(), TaskError> {
        let last = self.flags.until.map_or(Stage::Login, Stage::from);
        let mut crash = self.flags.crash_server.clone();
        for stage in Stage::ALL.into_iter().filter(|stage| *stage <= last) {
            self.stage = stage;
            let since = Instant::now();
            loop {
                self.look()?;
                if let Some(action) = crash.take_if(|action| timeline::runs(&self.events, action.as_str())) {
                    self.crash_server(&action)?;
                }
                let milestones = Milestones::of(&self.events, self.start);
                let console = Console::read(&self.dir.text("serial.log"), 0, MACHINE);
                let prompt_missing = stage == Stage::Login && !self.prompt_stays(&console)?;
                if !prompt_missing && stage.reached(&milestones, &console) {
                    println!("    stage {} reached after {} s", stage.name(), self.now());
                    break;
                }
                let (machine, server) = (self.machine.ended(), self.server.ended());
                let panicked = console.panicked.then(|| "the machine's kernel panicked".to_owned());
                let silent = (since.elapsed() > stage.deadline()).then(|| self.silence(stage));
                if let Some(cause) =
                    machine.or(server).or(panicked).or_else(|| timeline::stopped(&self.events)).or(silent)
                {
                    return Err(TaskError::Lab { stage: stage.name().into(), cause });
                }
                self.interrupt.pause(POLL)?;
            }
        }
        if let Some(action) = crash {
            let cause =
                format!("--crash-server: the action {action} never ran, so the server was not killed");
            return Err(TaskError::Lab { stage: last.name().into(), cause });
        }
        self.finished = Some(self.settle());
        Ok(())
    }

    /// Whether the prompt is the last thing on the console and stays so; else presses Enter for one: a system that
    /// is still starting writes over its first prompt.
    pub(crate) fn prompt_stays(&self, console: &Console) -> Result<bool, TaskError> {
        self.interrupt.pause(POLL)?;
        let now = Console::read(&self.dir.text("serial.log"), 0, MACHINE);
        if console.asks_for_login && now.asks_for_login {
            return Ok(true);
        }
        self.machine.press_enter()?;
        Ok(false)
    }

    /// Reads the timeline and prints what is new.
    fn look(&mut self) -> Result<(), TaskError> {
        match self.server.operator().events(MACHINE) {
            Ok(events) => self.events = events,
            Err(error @ TaskError::Answer { .. }) => return Err(error),
            // A server that does not answer now is caught by the stage's deadline.
            Err(_) => return Ok(()),
        }
        if let Ok(text) = self.server.operator().timeline(MACHINE) {
            for line in text.lines() {
                if self.printed.insert(line.to_owned()) {
                    println!("  {line}");
                }
            }
            self.dir.write("timeline.txt", &text)?;
        }
        Ok(())
    }

    fn crash_server(&mut self, action: &str) -> Result<(), TaskError> {
        self.interrupt.pause(INTO_ACTION)?;
        self.look()?;
        if !timeline::runs(&self.events, action) {
            let cause =
                format!("--crash-server: {action} was over {} s after its start", INTO_ACTION.as_secs());
            return Err(TaskError::Lab { stage: self.stage.name().into(), cause });
        }
        println!("    killing bootcode-server (SIGKILL) in the middle of {action}");
        self.server.crash();
        self.interrupt.pause(AWAY)?;
        self.server.start(MACHINE, &self.interrupt)?;
        println!("    bootcode-server runs again");
        self.checks.push("the server was killed in the middle of an action and started again");
        Ok(())
    }

    /// What must be so once the machine is installed.
    fn check(&mut self) -> Result<(), TaskError> {
        let before = self.dir.text("second.sha256");
        let after = disk::sha256(&self.machine.second_disk)?;
        if before != after {
            return Err(TaskError::Check {
                check: "the disk that the Hardware does not select is as it was",
                found: format!("sha256 {before} before, {after} after"),
            });
        }
        self.checks.push("the disk that the Hardware does not select is as it was");
        if self.flags.until.is_none() {
            self.check_configured()?;
        }
        if self.flags.fresh_store && self.flags.until.is_none() {
            let held = fresh::check(self)?;
            self.checks.extend(held);
        }
        // The last: the machine is left in the middle of its boot.
        if self.flags.until.is_none() {
            self.local_boot = Some(local_boot::check(self)?);
            self.checks.push(local_boot::CHECK);
        }
        Ok(())
    }

    /// cloud-init took the machine's name and keys from the seed that the installation wrote.
    fn check_configured(&mut self) -> Result<(), TaskError> {
        const CHECK: &str = "the installed system has the Hardware's host name and the Profile's key";
        let hardware = self.server.operator().hardware(MACHINE)?;
        let key = hardware["spec"]["sshKeys"][0].as_str().unwrap_or("no key in the Profile").to_owned();
        let found = self.installed(|system| Ok((system.file("/etc/hostname")?, system.file(KEYS)?)))?;
        if found.0.trim() != MACHINE || !found.1.contains(&key) {
            return Err(TaskError::Check { check: CHECK, found: format!("{found:?}, expected {key:?}") });
        }
        self.checks.push(CHECK);
        Ok(())
    }

    /// Looks at the disk of the machine, which stands still meanwhile.
    pub(crate) fn installed<T>(
        &self,
        look: impl FnOnce(&Installed) -> Result<T, TaskError>,
    ) -> Result<T, TaskError> {
        self.interrupt.pause(SETTLE)?;
        let copy = self.dir.path("disk.copy");
        self.machine.frozen(&self.interrupt, || disk::copy(&self.machine.disk, &copy))?;
        let result = Installed::open(&copy).and_then(|system| look(&system));
        let _ = fs::remove_file(&copy);
        result
    }

    fn finish(mut self, result: Result<(), TaskError>) -> Result<(), TaskError> {
        let finished = match self.finished.take() {
            Some(finished) => finished,
            None => self.settle(),
        };
        let (stage, cause) = match &result {
            Ok(()) => (None, None),
            Err(TaskError::Lab { stage, cause }) => (Some(stage.clone()), Some(cause.clone())),
            Err(error) => (Some(self.stage.name().to_owned()), Some(error.to_string())),
        };
        let total = finished.total;
        let report = Report {
            result: match (&result, self.flags.until) {
                (Err(_), _) => Outcome::Failed,
                (Ok(()), None) => Outcome::Provisioned,
                (Ok(()), Some(_)) => Outcome::Reached,
            },
            machine: MACHINE,
            firmware: self.flags.firmware.name(),
            stage,
            cause,
            seconds: Seconds {
                total,
                milestones: Milestones::of(&self.events, self.start),
                local_boot: self.local_boot,
            },
            boot: timeline::boot_steps(&self.events),
            actions: report::actions(&finished.workflow),
            checks: self.checks.clone(),
        };
        write(&self.dir, &report)?;
        if result.is_err() {
            self.tell_failure();
        }
        drop(self.neighbour.take());
        result?;
        for check in &report.checks {
            println!("    checked: {check}");
        }
        match self.flags.until {
            None => println!("provisioned {MACHINE} in {total} s"),
            Some(_) => println!("{MACHINE} reached stage {} in {total} s", self.stage.name()),
        }
        Ok(())
    }

    fn settle(&mut self) -> Finished {
        let total = self.now();
        let _ = self.look();
        Finished { total, workflow: self.server.operator().workflow(WORKFLOW).unwrap_or_default() }
    }

    fn tell_failure(&self) {
        for (title, file) in
            [("timeline", "timeline.txt"), ("machine's console", "serial.log"), ("server", "server.log")]
        {
            println!("--- the end of the {title} ({})", self.dir.path(file).display());
            println!("{}", tail(&self.dir.text(file), 20));
        }
        if let Some(diagnosis) = self.server.operator().diagnose(MACHINE) {
            println!("--- diagnosis\n{diagnosis}");
        }
    }

    fn silence(&self, stage: Stage) -> String {
        let last = self.events.last().map_or_else(
            || "the server saw nothing of the machine".to_owned(),
            |event| {
                format!(
                    "the last that the server saw was {} after {} s",
                    event.event,
                    seconds(self.start, event)
                )
            },
        );
        format!("not within {} s of the stage before; {last}", stage.deadline().as_secs())
    }

    fn now(&self) -> f64 {
        timeline::seconds(self.start, Timestamp::now())
    }
}

fn seconds(start: Timestamp, event: &Event) -> f64 {
    timeline::seconds(start, event.at)
}

fn write(dir: &LabDir, report: &Report) -> Result<(), TaskError> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|error| TaskError::Answer { what: "the report", found: error.to_string() })?;
    dir.write("report.json", &(text + "\n"))
}
