//! The real agent in [`bootcode_core::simulation`].
//!
//! ```text
//! core's machine <--Input, Effect--> SimAgent <--Input, Effect--> Agent, as the driver runs it
//! ```
//!
//! For a store's author: [`run`] with a function that makes an empty store of yours, for as many seeds as you like.
//!
//! ```
//! use bootcode_core::store::MemoryStore;
//! let outcome = bootcode_worker::simulation::run(7, &|| std::sync::Arc::new(MemoryStore::new()), false);
//! assert_eq!(outcome.broken, None);
//! ```

use std::{sync::Arc, time::Duration};

use bootcode_core::{
    simulation::{self, Attempt, Effect, Exit, Input, Options, Outcome, SimWorker},
    store::Store,
    workflow::Session,
};

use crate::{
    agent::{self, Agent, AttemptKey},
    runtime,
};

/// Runs a seed with agents on a store; with its trace, if that is wanted.
#[must_use]
pub fn run(seed: u64, store: &dyn Fn() -> Arc<dyn Store>, trace: bool) -> Outcome {
    let worker = || -> Box<dyn SimWorker> { Box::new(SimAgent(Agent::new())) };
    simulation::run(seed, &Options { store, worker: &worker, trace })
}

/// The agent as the simulation's machines see it.
#[derive(Debug)]
pub struct SimAgent(Agent);

impl SimWorker for SimAgent {
    fn handle(&mut self, input: Input, uptime: Duration) -> Vec<Effect> {
        let Some(input) = agents(input) else { return Vec::new() };
        self.0.handle(input, uptime).into_iter().filter_map(machines).collect()
    }

    fn next_wake(&self) -> Option<Duration> {
        self.0.next_wake()
    }

    fn session(&self) -> Option<&Session> {
        self.0.session()
    }
}

/// What happened, in the agent's words.
fn agents(input: Input) -> Option<agent::Input> {
    Some(match input {
        Input::Started(spooled) => agent::Input::Started { spooled },
        Input::Greeted(answer) => agent::Input::Greeted(answer),
        Input::Claimed(answer) => agent::Input::Claimed(answer),
        Input::Reported(answer) => agent::Input::Reported(answer),
        Input::Heartbeat(attempt, answer) => agent::Input::Heartbeat { of: key(attempt), answer },
        Input::Kept(kept) => agent::Input::Intended(kept),
        Input::Protected(done) => agent::Input::Protected(done),
        Input::Pulled(done) => agent::Input::Pulled(done),
        Input::Ended { exit, ran } => {
            let exit = match exit {
                Exit::Status(status) => runtime::Exit::Status(status),
                Exit::TimedOut => runtime::Exit::TimedOut,
                Exit::Killed => runtime::Exit::Cancelled,
            };
            agent::Input::Ended {
                result: Ok(runtime::Finished { exit, ran }),
                tail: String::new(),
                outputs: Ok(None),
            }
        }
        Input::Concluded { report, kept } => agent::Input::Concluded { report, spooled: kept },
        Input::Finished(done) => agent::Input::Finished(done),
        Input::Woke => agent::Input::Woke,
        // The agent does not wait for this answer.
        Input::HookTold(_) => return None,
        _ => return None,
    })
}

/// What is to be done, in the machine's words.
fn machines(effect: agent::Effect) -> Option<Effect> {
    Some(match effect {
        agent::Effect::Hello => Effect::Hello,
        agent::Effect::Claim => Effect::Claim,
        agent::Effect::Report(report) => Effect::Report(report),
        agent::Effect::Heartbeat(of) => Effect::Heartbeat(attempt(of)),
        agent::Effect::Intend(report) => Effect::Keep(report),
        agent::Effect::Protect(assignment) => Effect::Protect(assignment),
        agent::Effect::Pull(assignment) => Effect::Pull(assignment),
        agent::Effect::Run { assignment, hook, limit } => {
            Effect::Run { assignment, hook: hook.is_some(), limit }
        }
        agent::Effect::Kill => Effect::Kill,
        agent::Effect::Conclude { report, assignment } => Effect::Conclude { report, assignment },
        agent::Effect::Forget(of) => Effect::Forget(attempt(of)),
        agent::Effect::Finish { action, .. } => Effect::Finish(action),
        agent::Effect::Say(line) => Effect::Say(line),
        agent::Effect::Exit(_) => Effect::Exit,
        agent::Effect::TellHook(start) => Effect::TellHook(start),
    })
}

fn key(Attempt { workflow, index, number }: Attempt) -> AttemptKey {
    AttemptKey { workflow, index, attempt: number }
}

fn attempt(AttemptKey { workflow, index, attempt }: AttemptKey) -> Attempt {
    Attempt { workflow, index, number: attempt }
}
