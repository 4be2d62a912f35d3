//! A machine does what its worker says.

use std::time::Duration;

use super::{
    check::{Broken, broken},
    machine::{Container, Power},
    network::Request,
    worker::{Attempt, Effect, Exit, Input},
    world::{Event, World},
};
use crate::{
    session::{Claims, Use},
    source::{Work, WorkSource as _},
    workflow::{Assignment, MachineAction},
};

/// How long a boot token is good, in seconds.
const TOKEN_SECONDS: i64 = 3600;

impl World<'_> {
    /// Something happened to a worker, if it is still the one that it is meant for.
    pub(super) fn tell(&mut self, machine: usize, life: u64, input: Input) -> Result<(), Broken> {
        let now_ms = self.clock.now_ms();
        let host = &mut self.machines[machine];
        if host.life != life {
            return Ok(());
        }
        let uptime = host.uptime(now_ms);
        let Some(worker) = host.worker.as_mut() else { return Ok(()) };
        let effects = worker.handle(input, uptime);
        for effect in effects {
            self.perform(machine, effect)?;
        }
        let host = &mut self.machines[machine];
        let wake = host.worker.as_ref().and_then(|worker| worker.next_wake());
        let wake_ms = wake.map(|wake| (host.worker_since_ms + wake.as_millis() as u64).max(now_ms));
        if host.wake_ms != wake_ms {
            host.wake_ms = wake_ms;
            let life = host.life;
            if let Some(at_ms) = wake_ms {
                self.at(at_ms - now_ms, Event::Woke { machine, life, at_ms });
            }
        }
        Ok(())
    }

    fn tell_in(&mut self, machine: usize, in_ms: u64, input: Input) {
        let life = self.machines[machine].life;
        self.at(in_ms, Event::Tell { machine, life, input });
    }

    fn perform(&mut self, machine: usize, effect: Effect) -> Result<(), Broken> {
        let quick = self.dice.between(1, 20);
        match effect {
            Effect::Hello => {
                let hello = self.machines[machine].hello();
                self.call(machine, Request::Hello(Box::new(hello)));
            }
            Effect::Claim => self.call(machine, Request::Claim),
            Effect::Report(report) => self.call(machine, Request::Report(report)),
            Effect::Heartbeat(attempt) => self.call(machine, Request::Heartbeat(attempt)),
            Effect::TellHook(start) => self.call(machine, Request::Hook(start)),
            Effect::Keep(report) => {
                let kept = self.keep(machine, *report);
                self.tell_in(machine, quick, Input::Kept(kept));
            }
            Effect::Protect(_) => {
                let done = if self.fails(5) { Err("a disk cannot be protected".to_owned()) } else { Ok(()) };
                self.tell_in(machine, quick, Input::Protected(done));
            }
            Effect::Pull(assignment) => {
                self.containers += 1;
                let number = self.containers;
                self.machines[machine].pulling = Some(number);
                let limit = assignment.pull_timeout_ms;
                let ms = if self.fails(30) { limit } else { self.dice.between(100, 40_000).min(limit) };
                let done = if ms == limit || self.fails(20) { Err("not pulled".to_owned()) } else { Ok(()) };
                self.at(ms, Event::PullEnds { machine, number, done });
            }
            Effect::Run { assignment, hook, limit } => {
                self.run_container(machine, &assignment, hook, limit)?
            }
            Effect::Kill => self.kill(machine),
            Effect::Conclude { mut report, assignment } => {
                report.disks = self.machines[machine].writable(&assignment);
                let kept = self.keep(machine, (*report).clone());
                self.tell_in(machine, quick, Input::Concluded { report, kept });
            }
            Effect::Forget(attempt) => drop(self.machines[machine].spool.remove(&attempt)),
            Effect::Finish(action) => self.finish(machine, action),
            Effect::Say(line) => {
                let name = self.machines[machine].name().to_owned();
                self.note(&name, format_args!("says {line}"));
            }
            Effect::Exit => self.worker_dies(machine),
        }
        Ok(())
    }

    fn fails(&mut self, in_thousand: u64) -> bool {
        !self.calm && self.dice.chance(in_thousand)
    }

    fn keep(&mut self, machine: usize, report: crate::workflow::Report) -> Result<(), String> {
        let attempt = Attempt::of(&report);
        self.checker.outcomes.entry(attempt.clone()).or_default().push(report.outcome.clone());
        if self.fails(4) {
            return Err("no space left".to_owned());
        }
        self.machines[machine].spool.insert(attempt, report);
        Ok(())
    }

    fn run_container(
        &mut self,
        machine: usize,
        assignment: &Assignment,
        hook: bool,
        limit: Duration,
    ) -> Result<(), Broken> {
        let now_ms = self.clock.now_ms();
        let attempt = Attempt::assigned(assignment);
        for host in &self.machines {
            let Some(other) = &host.container else { continue };
            let same_machine = host.name() == self.machines[machine].name();
            // A server whose clock jumped forward gives an attempt up while it still runs, and an operator may go on elsewhere.
            let handed_out = self.checker.handed_out.get(&other.attempt);
            let jumped = handed_out.is_some_and(|(at_ms, _)| *at_ms <= self.jumped_ms);
            if same_machine || (other.attempt.workflow == attempt.workflow && !jumped) {
                let detail = format!("{attempt} beside {} on {}", other.attempt, host.name());
                return broken("one-container-a-workflow", detail);
            }
        }
        let limit_ms = limit.as_millis() as u64;
        let wanted = if self.fails(60) { limit_ms + 1 } else { self.dice.between(500, 60_000) };
        let exit = match () {
            () if wanted > limit_ms => Exit::TimedOut,
            () if self.dice.chance(if self.calm { 30 } else { 150 }) => Exit::Status(1),
            () => Exit::Status(0),
        };
        if !hook {
            let declared = self.checker.workflows.get(&attempt.workflow).and_then(|seen| seen.plan.as_ref());
            let declared = declared.map(|(declared, ..)| declared.clone());
            self.machines[machine].write(assignment, declared.as_ref())?;
        }
        self.containers += 1;
        let number = self.containers;
        let over_ms = self.checker.handed_out.get(&attempt).map_or(0, |(_, over_ms)| *over_ms);
        let name = self.machines[machine].name().to_owned();
        self.note(&name, format_args!("runs {attempt}{}", if hook { " (hook)" } else { "" }));
        self.machines[machine].container =
            Some(Container { number, attempt, since_ms: now_ms, exit, over_ms });
        self.at(wanted.min(limit_ms), Event::ContainerEnds { machine, number });
        Ok(())
    }

    pub(super) fn container_ends(&mut self, machine: usize, number: u64) -> Result<(), Broken> {
        let now_ms = self.clock.now_ms();
        let host = &mut self.machines[machine];
        let Some(container) = host.container.take_if(|container| container.number == number) else {
            return Ok(());
        };
        let (name, attempt) = (host.name().to_owned(), container.attempt.clone());
        if now_ms > container.over_ms {
            let late_ms = now_ms - container.over_ms;
            return broken(
                "no-container-outlives-its-attempt",
                format!("{attempt} on {name} by {late_ms} ms"),
            );
        }
        self.note(&name, format_args!("{attempt} ends: {:?}", container.exit));
        // The worker that started it may be gone; its successor kills what it finds.
        let ran = Duration::from_millis(now_ms - container.since_ms);
        let life = self.machines[machine].life;
        self.tell(machine, life, Input::Ended { exit: container.exit, ran })
    }

    pub(super) fn pull_ends(
        &mut self,
        machine: usize,
        number: u64,
        done: Result<(), String>,
    ) -> Result<(), Broken> {
        let host = &mut self.machines[machine];
        if host.pulling.take_if(|pulling| *pulling == number).is_none() {
            return Ok(());
        }
        let life = host.life;
        self.tell(machine, life, Input::Pulled(done))
    }

    fn kill(&mut self, machine: usize) {
        let ms = self.dice.between(1, 200);
        let host = &mut self.machines[machine];
        if let Some(number) = host.pulling {
            let done = Err("stopped while its image was pulled".to_owned());
            self.at(ms, Event::PullEnds { machine, number, done });
        } else if let Some(container) = &mut host.container {
            container.exit = Exit::Killed;
            let number = container.number;
            self.at(ms, Event::ContainerEnds { machine, number });
        }
    }

    fn finish(&mut self, machine: usize, action: MachineAction) {
        match action {
            MachineAction::Reboot => self.restart(machine),
            MachineAction::Kexec | MachineAction::Poweroff => self.leaves(machine),
            MachineAction::Stay => {}
        }
    }

    pub(super) fn worker_dies(&mut self, machine: usize) {
        let host = &mut self.machines[machine];
        if host.worker.is_none() {
            return;
        }
        host.stop_worker();
        let (name, life) = (host.name().to_owned(), host.life);
        self.counts.add("worker restarts");
        self.note(&name, format_args!("its worker dies"));
        let ms = self.dice.between(500, 10_000);
        self.at(ms, Event::WorkerStart { machine, life });
    }

    pub(super) fn worker_starts(&mut self, machine: usize, life: u64) -> Result<(), Broken> {
        if self.machines[machine].life != life || self.machines[machine].power != Power::Osie {
            return Ok(());
        }
        let (now_ms, worker) = (self.clock.now_ms(), (self.options.worker)());
        let host = &mut self.machines[machine];
        host.start_worker(worker, now_ms);
        let (name, life) = (host.name().to_owned(), host.life);
        let spooled: Vec<_> = host.spool.values().cloned().collect();
        self.note(&name, format_args!("its worker starts with {} reports", spooled.len()));
        self.tell(machine, life, Input::Started(spooled))
    }

    /// Power is cut and comes back.
    pub(super) fn restart(&mut self, machine: usize) {
        self.machines[machine].restart();
        let (name, boot_life) = (self.machines[machine].name().to_owned(), self.machines[machine].life);
        self.counts.add("machine restarts");
        self.note(&name, format_args!("restarts"));
        let ms = self.dice.between(5000, 60_000);
        self.at(ms, Event::Firmware { machine, boot_life });
    }

    fn leaves(&mut self, machine: usize) {
        self.machines[machine].leave();
        let name = self.machines[machine].name().to_owned();
        self.note(&name, format_args!("leaves"));
        let ms = self.dice.between(30_000, 120_000);
        self.at(ms, Event::PowerOn(machine));
    }

    /// Somebody switches it on, or restarts its installed system.
    pub(super) fn power_on(&mut self, machine: usize) {
        if self.machines[machine].power == Power::Away {
            self.restart(machine);
        }
    }

    /// The firmware asks what to boot, until it is told.
    pub(super) fn firmware(&mut self, machine: usize, boot_life: u64) {
        let host = &self.machines[machine];
        if host.life != boot_life || host.power != Power::Firmware {
            return;
        }
        let hardware = std::sync::Arc::clone(&host.hardware);
        let engine = self.server.engine.as_ref().filter(|_| !self.is_cut_off(machine));
        // What the index knows is answered at once, without the store.
        let work = engine.map(|engine| super::tasks::wait(engine.work(&hardware)));
        match work {
            Some(Ok(Work::Provision { workflow })) => self.enter_osie(machine, &workflow),
            Some(Ok(Work::Idle)) => self.leaves(machine),
            _ => self.at(15_000, Event::Firmware { machine, boot_life }),
        }
    }

    fn enter_osie(&mut self, machine: usize, workflow: &str) {
        let now = crate::clock::Clock::now(&self.clock).as_second();
        let hardware = self.machines[machine].name().to_owned();
        let id = format!("{:016x}{:016x}", self.dice.bits(), self.dice.bits());
        let expires = now + TOKEN_SECONDS;
        let claims = Claims { used_for: Use::Boot, hardware, id, bound: String::new(), expires };
        let token = self.sealer.seal(&claims);
        self.machines[machine].enter_osie(token, &mut self.dice);
        let (name, boot) = (claims.hardware, self.machines[machine].boot_id());
        self.note(&name, format_args!("boots OSIE for {workflow}: {boot}"));
        let (ms, life) = (self.dice.between(5000, 20_000), self.machines[machine].life);
        self.at(ms, Event::WorkerStart { machine, life });
    }
}
