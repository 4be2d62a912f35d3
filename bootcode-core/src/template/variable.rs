//! The value of an action's variable: a text, or the name of a secret.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{secret::SecretRef, yaml::TEXT_OR_MAPPING};

/// The value of an action's variable, as templates and the log have it. Secrets stand there by name only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Variable {
    /// The value.
    Text(String),
    /// Where the value is read when the action is handed out: `{secretRef: document/key}`.
    Secret(SecretVariable),
}

/// A variable whose value is a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretVariable {
    /// The secret.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub secret_ref: SecretRef,
}

impl Variable {
    /// The text; `None` where it is a secret.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Secret(_) => None,
        }
    }

    /// The secret that it names.
    #[must_use]
    pub const fn as_secret(&self) -> Option<&SecretRef> {
        match self {
            Self::Text(_) => None,
            Self::Secret(secret) => Some(&secret.secret_ref),
        }
    }
}

impl From<&str> for Variable {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Variable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TEXT_OR_MAPPING, VariableVisitor)
    }
}

struct VariableVisitor;

impl<'de> Visitor<'de> for VariableVisitor {
    type Value = Variable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, or {secretRef: document/key}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Variable, E> {
        Ok(Variable::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Variable, A::Error> {
        SecretVariable::deserialize(MapAccessDeserializer::new(map)).map(Variable::Secret)
    }

    /// What every format but our YAML makes of [`TEXT_OR_MAPPING`].
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Variable, D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_log_has_texts_as_they_are_and_secrets_by_name() {
        for value in [json!("text"), json!({"secretRef": "site/token"})] {
            let variable: Variable = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(&variable).unwrap(), value);
        }
        for bad in [json!(1), json!(null), json!({"secretRef": "x"}), json!({"value": "x"}), json!({})] {
            assert!(serde_json::from_value::<Variable>(bad.clone()).is_err(), "{bad}");
        }
    }
}
