//! Boot sessions of workers: a boot token is redeemed once, with a nonce.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Engine, EngineError};
use crate::{
    clock::Timestamp,
    document::Hardware,
    limits::{
        DECIDE_ROUNDS, HEARTBEAT_MS, INVENTORY_BYTES, INVENTORY_DISKS, REDEEMED_TOKENS, SESSION_ID_CHARS,
        SESSION_SECONDS,
    },
    session::{Claims, Use},
    source::HardwareKey,
    store::{Batch, Commit, Expect, Key, StoreError, Stored},
    timeline::{BootEventKind, Reason},
    workflow::{
        Command, Hello, Hold, Inventory, Machine, Session,
        guard::{Guard, holds},
    },
};

/// The kind of the document that keeps a machine's session: `BootSession/<machine>`.
pub const BOOT_SESSION: &str = "BootSession";

/// The last boot of a machine that redeemed a boot token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BootSession {
    /// The boot token's id.
    pub(super) token: String,
    /// The nonce that redeemed it.
    nonce: String,
    /// The kernel's boot id.
    pub(super) boot_id: String,
    /// What the worker found, before anything was written.
    pub(super) inventory: Inventory,
    /// When the session ends, in Unix seconds.
    expires: i64,
    /// Boot tokens that were redeemed earlier and have not expired: they are never good again.
    earlier: Vec<Redeemed>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Redeemed {
    token: String,
    expires: i64,
}

/// Who calls.
pub(super) struct Caller {
    pub(super) hardware: Arc<Hardware>,
    pub(super) session: BootSession,
}

impl Caller {
    pub(super) fn machine(&self) -> Machine<'_> {
        Machine {
            hardware: &self.hardware,
            boot_id: &self.session.boot_id,
            inventory: &self.session.inventory,
        }
    }
}

const fn refused(reason: Reason) -> EngineError {
    EngineError::Refused { reason }
}

impl Engine {
    /// What a machine reported when its worker last opened a session; `None` where it never did.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn inventory(&self, machine: &str) -> Result<Option<Inventory>, StoreError> {
        let stored = self.parts.store.get(&Key::new(BOOT_SESSION, machine)).await?;
        // A session that cannot be read is as good as none: the next boot opens another.
        Ok(stored
            .and_then(|stored| BootSession::deserialize(stored.value).ok())
            .map(|session| session.inventory))
    }

    pub(super) async fn redeem(&self, hello: Hello) -> Result<Session, EngineError> {
        // Whether it has expired matters only to one that was not redeemed: a restarted worker gets its session again.
        let opened = self.parts.sealer.open(&hello.token, Use::Boot, Timestamp::MIN);
        let claims = opened.map_err(|_| refused(Reason::BadToken))?;
        let hardware = self.machine(&claims.hardware).await?;
        let answer = match bounded(&hello) {
            Ok(()) => self.session(&claims, &hello).await,
            Err(reason) => Err(refused(reason)),
        };
        let now = self.parts.clock.now();
        let (session, new) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if let EngineError::Refused { reason } = &error {
                    self.record(&hardware.name, now, BootEventKind::WorkerRefused { reason: *reason });
                    if *reason == Reason::TokenUsed {
                        self.hold_machine(&hardware.name).await?;
                    }
                }
                return Err(error);
            }
        };
        let boot_id = session.boot_id.clone();
        if new {
            self.record(&hardware.name, now, BootEventKind::OsieStarted { boot_id: boot_id.clone() });
        }
        self.record(&hardware.name, now, BootEventKind::WorkerConnected { boot_id: boot_id.clone() });
        let token = self.parts.sealer.seal(&Claims {
            used_for: Use::Session,
            hardware: hardware.name.clone(),
            id: session.token.clone(),
            bound: boot_id,
            // From now, so that a machine that waits for its operator for longer than one session lasts gets another.
            expires: now.as_second().saturating_add(SESSION_SECONDS.cast_signed()),
        });
        let caller = Caller { hardware, session };
        for state in self.index.of(&caller.hardware.name).iter().filter(|state| !state.phase.is_terminal()) {
            self.command(&state.name, Command::WorkerHello { machine: caller.machine() }).await?;
        }
        Ok(Session { token, hardware: caller.hardware.name.clone(), heartbeat_ms: HEARTBEAT_MS })
    }

    /// The session of this token and nonce, and whether it is a new one. Durable before it is given (I4).
    async fn session(&self, claims: &Claims, hello: &Hello) -> Result<(BootSession, bool), EngineError> {
        let key = Key::new(BOOT_SESSION, &claims.hardware);
        for _ in 0..DECIDE_ROUNDS {
            let now = self.parts.clock.now().as_second();
            let stored = self.parts.store.get(&key).await?;
            let known = stored.as_ref().and_then(read);
            if let Some(known) = &known
                && known.token == claims.id
            {
                let same = known.nonce == hello.nonce && known.boot_id == hello.boot_id;
                return if same || !holds(Guard::BootTokenOnce) {
                    Ok((known.clone(), false))
                } else {
                    Err(refused(Reason::TokenUsed))
                };
            }
            let mut earlier = known.as_ref().map(|known| known.earlier.clone()).unwrap_or_default();
            let used = earlier.iter().any(|redeemed| redeemed.token == claims.id);
            if used && holds(Guard::BootTokenOnce) {
                return Err(refused(Reason::TokenUsed));
            }
            if claims.expires < now {
                return Err(refused(Reason::BadToken));
            }
            // How long the last token is good is not kept with it; no boot token outlives its session.
            earlier.extend(known.map(|known| Redeemed { token: known.token, expires: known.expires }));
            earlier.retain(|redeemed| redeemed.expires >= now);
            if earlier.len() > REDEEMED_TOKENS {
                // The oldest go first; boot tokens live an hour, so that many of them are no longer good.
                earlier.drain(..earlier.len() - REDEEMED_TOKENS);
            }
            let session = BootSession {
                token: claims.id.clone(),
                nonce: hello.nonce.clone(),
                boot_id: hello.boot_id.clone(),
                inventory: hello.inventory.clone(),
                expires: now.saturating_add(SESSION_SECONDS.cast_signed()),
                earlier,
            };
            let Ok(value) = serde_json::to_value(&session) else {
                return Err(refused(Reason::IllegalRequest));
            };
            let expect = match stored {
                None => Expect::Absent(key.clone()),
                Some(stored) => Expect::At(key.clone(), stored.revision),
            };
            let batch = Batch { expects: vec![expect], puts: vec![(key.clone(), value)], ..Batch::default() };
            match self.parts.store.commit(batch).await {
                Ok(Commit::Done(_)) => return Ok((session, true)),
                // Whether it was carried out shows when it is read again.
                Ok(Commit::Conflict { .. }) | Err(StoreError::Unknown) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(EngineError::Contended {
            what: format!("the session of {}", claims.hardware),
            rounds: DECIDE_ROUNDS,
        })
    }

    /// Who holds this session token. That of an earlier boot is no longer good.
    pub(super) async fn caller(&self, token: &str) -> Result<Caller, EngineError> {
        let opened = self.parts.sealer.open(token, Use::Session, self.parts.clock.now());
        let claims = opened.map_err(|_| refused(Reason::BadToken))?;
        let stored = self.parts.store.get(&Key::new(BOOT_SESSION, &claims.hardware)).await?;
        let session = stored
            .as_ref()
            .and_then(read)
            .filter(|session| {
                (session.token == claims.id && session.boot_id == claims.bound)
                    || !holds(Guard::SessionOfThisBoot)
            })
            .ok_or_else(|| refused(Reason::BadToken))?;
        self.live.heard(&claims.hardware, self.parts.clock.now());
        Ok(Caller { hardware: self.machine(&claims.hardware).await?, session })
    }

    async fn machine(&self, name: &str) -> Result<Arc<Hardware>, EngineError> {
        let found = self.parts.hardware.find(&HardwareKey::Name(name.to_owned())).await?;
        found.ok_or_else(|| refused(Reason::UnknownMachine))
    }

    async fn hold_machine(&self, machine: &str) -> Result<(), EngineError> {
        for state in self.index.of(machine).iter().filter(|state| state.phase.is_open()) {
            self.command(&state.name, Command::Hold { reason: Hold::TokenReused }).await?;
        }
        Ok(())
    }
}

/// A document of another shape is as good as none: the machine has to boot again.
fn read(stored: &Stored) -> Option<BootSession> {
    serde_json::from_value(stored.value.clone()).ok()
}

fn bounded(hello: &Hello) -> Result<(), Reason> {
    let short = |text: &str| !text.is_empty() && text.len() <= SESSION_ID_CHARS;
    if !short(&hello.nonce) || !short(&hello.boot_id) {
        return Err(Reason::IllegalRequest);
    }
    let bytes = serde_json::to_vec(&hello.inventory).map_or(usize::MAX, |json| json.len());
    if hello.inventory.disks.len() > INVENTORY_DISKS || bytes > INVENTORY_BYTES {
        return Err(Reason::TooMany);
    }
    Ok(())
}
