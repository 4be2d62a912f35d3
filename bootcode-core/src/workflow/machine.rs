//! Whether a machine is the declared one.

use super::{Hold, Inventory};
use crate::{arch::Firmware, document::Hardware};

/// What of a machine is not as declared; asked before anything of a workflow runs on it.
///
/// # Errors
/// The hold that the workflow gets.
pub fn verify(hardware: &Hardware, inventory: &Inventory) -> Result<(), Hold> {
    let spec = &hardware.spec;
    let check = |field: &str, declared: Option<&str>, found: &str| match declared {
        Some(declared) if !declared.trim().eq_ignore_ascii_case(found.trim()) => Err(Hold::MachineMismatch {
            field: field.to_owned(),
            declared: declared.to_owned(),
            found: if found.trim().is_empty() { "not told".to_owned() } else { found.to_owned() },
        }),
        _ => Ok(()),
    };
    let firmware = |uefi: bool| if uefi { "uefi" } else { "bios" };
    check("arch", spec.arch.map(crate::arch::Arch::name), &inventory.arch)?;
    check("firmware", spec.firmware.map(|f| firmware(f == Firmware::Uefi)), firmware(inventory.uefi))?;
    let Some(identity) = &spec.identity else { return Ok(()) };
    check("serial", identity.serial.as_deref(), inventory.serial.as_deref().unwrap_or_default())?;
    check("uuid", identity.uuid.as_deref(), inventory.uuid.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        arch::Arch,
        document::{HardwareSpec, Identity},
    };

    #[test]
    fn a_machine_that_is_not_the_declared_one_is_named() {
        let inventory = Inventory {
            arch: "x86_64".into(),
            uefi: true,
            serial: Some("7XK2M3 ".into()),
            ..Inventory::default()
        };
        let spec = |change: &dyn Fn(&mut HardwareSpec)| {
            let mut spec = HardwareSpec::default();
            change(&mut spec);
            spec
        };
        let identity = |serial: Option<&str>, uuid: Option<&str>| {
            Some(Identity { serial: serial.map(str::to_owned), uuid: uuid.map(str::to_owned) }.into())
        };
        let cases = [
            (spec(&|_| ()), None),
            (spec(&|s| s.arch = Some(Arch::X86_64)), None),
            (spec(&|s| s.arch = Some(Arch::Aarch64)), Some("arch is x86_64, declared is aarch64")),
            (spec(&|s| s.firmware = Some(Firmware::Bios)), Some("firmware is uefi, declared is bios")),
            (spec(&|s| s.identity = identity(Some("7xk2m3"), None)), None),
            (
                spec(&|s| s.identity = identity(Some("OTHER"), None)),
                Some("serial is 7XK2M3 , declared is OTHER"),
            ),
            (spec(&|s| s.identity = identity(None, Some("u-1"))), Some("uuid is not told, declared is u-1")),
        ];
        for (spec, expected) in cases {
            let hardware = Hardware { name: "n".into(), labels: Default::default(), spec };
            let found = verify(&hardware, &inventory).err().map(|hold| hold.to_string());
            assert_eq!(found, expected.map(|text| format!("MachineMismatch: {text}")));
        }
    }
}
