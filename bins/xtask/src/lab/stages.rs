//! The stages of a provisioning, each with its deadline.

use std::time::Duration;

use super::plan::Until;
use super::timeline::Milestones;

/// A stage, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The iPXE script was served.
    Script,
    /// The in-memory operating system runs.
    Osie,
    /// The first action runs.
    FirstAction,
    /// The workflow succeeded.
    Installed,
    /// The installed system phoned home.
    PhoneHome,
    /// Its console asks for a login.
    Login,
}

impl Stage {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Script, Self::Osie, Self::FirstAction, Self::Installed, Self::PhoneHome, Self::Login];

    /// As in `--until` and in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Osie => "osie",
            Self::FirstAction => "first-action",
            Self::Installed => "installed",
            Self::PhoneHome => "phone-home",
            Self::Login => "login",
        }
    }

    /// How long it may take after the stage before. Emulation on two busy cores takes a third of each at most.
    pub(crate) const fn deadline(self) -> Duration {
        Duration::from_secs(match self {
            Self::Script => 240,
            Self::Osie => 240,
            Self::FirstAction => 180,
            // The sum of the template's timeouts.
            Self::Installed => 2490,
            // Firmware, boot loader and the first boot of a system that configures itself.
            Self::PhoneHome => 900,
            Self::Login => 300,
        })
    }

    /// Whether the timeline, or the console, shows that it was reached.
    pub(crate) fn reached(self, milestones: &Milestones, console: &Console) -> bool {
        match self {
            Self::Script => milestones.script.is_some(),
            Self::Osie => milestones.to_osie.is_some(),
            Self::FirstAction => milestones.to_first_action.is_some(),
            Self::Installed => milestones.to_installed.is_some(),
            Self::PhoneHome => milestones.to_phone_home.is_some(),
            Self::Login => console.asks_for_login,
        }
    }
}

impl From<Until> for Stage {
    fn from(until: Until) -> Self {
        match until {
            Until::Script => Self::Script,
            Until::Osie => Self::Osie,
            Until::FirstAction => Self::FirstAction,
            Until::Installed => Self::Installed,
            Until::PhoneHome => Self::PhoneHome,
        }
    }
}

/// What the machine's serial console shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Console {
    /// `HOST login:` is the last thing on it.
    pub asks_for_login: bool,
    /// The kernel panicked.
    pub panicked: bool,
}

impl Console {
    /// Reads it, from this byte on.
    pub(crate) fn read(serial: &str, from: usize, host: &str) -> Self {
        let text = &serial[serial.ceil_char_boundary(from)..];
        Self {
            asks_for_login: text.trim_end().ends_with(&format!("{host} login:")),
            panicked: text.contains("Kernel panic - not syncing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_after_the_mark_counts() {
        let serial = "Debian\r\nnode-1 login: ";
        assert!(Console::read(serial, 0, "node-1").asks_for_login);
        assert!(!Console::read("node-1 login: \r\ncloud-init: done", 0, "node-1").asks_for_login);
        assert!(!Console::read(serial, serial.len(), "node-1").asks_for_login);
        assert!(!Console::read(serial, 0, "node-2").asks_for_login);
        assert!(Console::read("Kernel panic - not syncing: x", 0, "n").panicked);
    }

    #[test]
    fn a_stage_is_reached_by_its_own_milestone_only() {
        let osie = Milestones { to_osie: Some(30.0), ..Milestones::default() };
        let reached: Vec<_> =
            Stage::ALL.into_iter().filter(|stage| stage.reached(&osie, &Console::default())).collect();
        assert_eq!(reached, [Stage::Osie]);
    }
}
