//! The worker on a machine that nobody declared: it tells what the machine is, and waits. It runs nothing and writes nothing.
//!
//! ```text
//!  inventory --InventoryService--> Wait: again in some seconds (nobody declared it, or there is no work for it)
//!                                  Restart, or the token is no longer good: through the firmware, which asks what to boot
//! ```

use std::{sync::Arc, time::Duration};

use bootcode_core::{
    unknown::{InventoryService, Standby},
    workflow::{Inventory, MachineAction, ServiceError},
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{Backoff, Ending},
    limits,
    power::MachinePower,
};

/// Tells `inventory` until the machine is to restart, and restarts it; a machine that is not ours to restart is left to its owner.
pub async fn stand_by(
    service: Arc<dyn InventoryService>,
    token: &str,
    inventory: Inventory,
    power: Arc<dyn MachinePower>,
    stop: CancellationToken,
) -> Ending {
    let waiting = wait(&*service, token, &inventory, &*power);
    stop.run_until_cancelled(waiting).await.unwrap_or(Ending::Stopped)
}

async fn wait(
    service: &dyn InventoryService,
    token: &str,
    inventory: &Inventory,
    power: &dyn MachinePower,
) -> Ending {
    let (mut backoff, mut console) = (Backoff::default(), Console::default());
    loop {
        let pause = match told(service, token, inventory).await {
            Ok(Standby::Wait { mac, declared, retry_ms }) => {
                backoff.reset();
                console.say(if declared {
                    format!("{mac} was declared; it restarts when there is a Workflow for it")
                } else {
                    format!("nobody declared this machine: `bootcode adopt {mac}` does; it told what it is, and waits")
                });
                Duration::from_millis(retry_ms).clamp(limits::WAIT_SHORTEST, limits::WAIT_LONGEST)
            }
            Ok(Standby::Restart) => {
                console.say("there is something else to boot: the machine restarts".to_owned());
                if power.carry_out(MachineAction::Reboot).is_err() {
                    return Ending::Restart;
                }
                limits::RESTART
            }
            Err(ServiceError::Refused { reason }) => {
                console.say(format!(
                    "the server refuses this machine's token ({reason}): it restarts for another"
                ));
                sleep(limits::REFUSED).await;
                if power.carry_out(MachineAction::Reboot).is_err() {
                    return Ending::Refused { reason: reason.to_string() };
                }
                limits::RESTART
            }
            Err(error) => {
                console.say(format!("the inventory was not taken: {error}"));
                backoff.pause()
            }
        };
        sleep(pause).await;
    }
}

async fn told(
    service: &dyn InventoryService,
    token: &str,
    inventory: &Inventory,
) -> Result<Standby, ServiceError> {
    let late =
        |_| ServiceError::Unavailable { message: format!("no answer for {} s", limits::CALL.as_secs()) };
    timeout(limits::CALL, service.inventory(token, inventory.clone())).await.map_err(late)?
}

/// What whoever stands before the machine reads: what is new at once, the rest now and then.
#[derive(Default)]
struct Console {
    said: Option<(String, Instant)>,
}

impl Console {
    fn say(&mut self, line: String) {
        let known = |(said, at): &(String, Instant)| *said == line && at.elapsed() < limits::STANDBY_SAID;
        if !self.said.as_ref().is_some_and(known) {
            tracing::info!("{line}");
            self.said = Some((line, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bootcode_core::{mac::MacAddr, timeline::Reason};

    use super::*;
    use crate::power::{HostPower, PowerError};

    /// Answers in order, and the last for ever.
    struct Answers(Mutex<(Vec<Result<Standby, Reason>>, usize)>);

    #[async_trait::async_trait]
    impl InventoryService for Answers {
        async fn inventory(&self, token: &str, inventory: Inventory) -> Result<Standby, ServiceError> {
            assert_eq!((token, inventory.memory_bytes), ("t", 7));
            let mut answers = self.0.lock().unwrap();
            let at = answers.1.min(answers.0.len() - 1);
            answers.1 += 1;
            match answers.0[at].clone() {
                Ok(standby) => Ok(standby),
                Err(Reason::StoreAway) => Err(ServiceError::Unavailable { message: "away".to_owned() }),
                Err(reason) => Err(ServiceError::Refused { reason }),
            }
        }
    }

    /// A machine that goes down when it is told to.
    #[derive(Default)]
    struct Switch {
        down: CancellationToken,
        told: Mutex<Vec<MachineAction>>,
    }

    impl MachinePower for Switch {
        fn carry_out(&self, action: MachineAction) -> Result<(), PowerError> {
            self.told.lock().unwrap().push(action);
            self.down.cancel();
            Ok(())
        }
    }

    const fn waits(declared: bool) -> Result<Standby, Reason> {
        Ok(Standby::Wait { mac: MacAddr([2, 0, 0, 0, 0, 1]), declared, retry_ms: 15_000 })
    }

    async fn on(
        answers: Vec<Result<Standby, Reason>>,
        power: Arc<dyn MachinePower>,
        stop: CancellationToken,
    ) -> (Ending, usize, Duration) {
        let (service, begun) = (Arc::new(Answers(Mutex::new((answers, 0)))), Instant::now());
        let inventory = Inventory { memory_bytes: 7, ..Inventory::default() };
        let ending = stand_by(Arc::clone(&service) as _, "t", inventory, power, stop).await;
        let calls = service.0.lock().unwrap().1;
        (ending, calls, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_waits_until_it_is_declared_and_has_work_then_restarts_once() {
        let away = Err(Reason::StoreAway);
        for (answers, calls, seconds) in [
            (vec![waits(false), waits(false), waits(true), Ok(Standby::Restart)], 4, 45),
            (vec![away.clone(), away, waits(false), Ok(Standby::Restart)], 4, 16),
            // A while to read it in.
            (vec![waits(false), Err(Reason::BadToken)], 2, 25),
        ] {
            let switch = Arc::new(Switch::default());
            let stop = switch.down.clone();
            let (ending, called, took) = on(answers, Arc::clone(&switch) as _, stop).await;
            assert_eq!((ending, called, took.as_secs()), (Ending::Stopped, calls, seconds));
            assert_eq!(*switch.told.lock().unwrap(), [MachineAction::Reboot]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_did_not_go_down_is_told_again() {
        let switch = Arc::new(Switch::default());
        let stop = CancellationToken::new();
        let end = stop.clone();
        tokio::spawn(async move {
            sleep(limits::RESTART + Duration::from_secs(1)).await;
            end.cancel();
        });
        let (ending, ..) = on(vec![Ok(Standby::Restart)], Arc::clone(&switch) as _, stop).await;
        assert_eq!(ending, Ending::Stopped);
        assert_eq!(switch.told.lock().unwrap().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_more_is_never_restarted() {
        let on_host = |answers| on(answers, Arc::new(HostPower), CancellationToken::new());
        let (ending, ..) = on_host(vec![waits(false), Ok(Standby::Restart)]).await;
        assert_eq!(ending, Ending::Restart);
        let (ending, ..) = on_host(vec![Err(Reason::BadToken)]).await;
        assert!(matches!(ending, Ending::Refused { .. }), "{ending}");
    }
}
