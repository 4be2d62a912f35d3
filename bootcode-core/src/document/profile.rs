//! `kind: Profile`: what many machines share. Maps merge, lists and scalars of the machine replace.

use serde_json::Value;

use super::HardwareSpec;

/// A Profile and a Hardware do not make a whole.
#[derive(Debug, thiserror::Error)]
#[error("the merged spec of Hardware `{hardware}` is not valid")]
pub struct ProfileError {
    /// The machine.
    pub hardware: String,
    /// The cause.
    #[source]
    pub source: serde_json::Error,
}

/// The spec of a machine over that of its Profile.
///
/// # Errors
/// Where the result has no valid shape; documents that were validated at `apply` do not fail.
pub fn merge(hardware: &str, profile: Option<&Value>, spec: &Value) -> Result<HardwareSpec, ProfileError> {
    serde_json::from_value(merge_values(profile, spec))
        .map_err(|source| ProfileError { hardware: hardware.to_owned(), source })
}

/// The same, still untyped.
pub(super) fn merge_values(profile: Option<&Value>, spec: &Value) -> Value {
    let mut merged = profile.cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    merge_value(&mut merged, spec);
    merged
}

fn merge_value(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge_value(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_merge_and_lists_replace() {
        let profile = json!({"kernelArgs": ["quiet"], "os": {"image": "a", "sha256": "x"}, "sshKeys": ["k"]});
        let spec = json!({"kernelArgs": ["console=ttyS0"], "os": {"image": "b"}, "interfaces": []});
        let merged = merge("n", Some(&profile), &spec).unwrap();
        assert_eq!(merged.kernel_args, ["console=ttyS0"]);
        assert_eq!(merged.os.unwrap().sha256, "x");
        assert_eq!(merged.ssh_keys, ["k"]);
    }
}
