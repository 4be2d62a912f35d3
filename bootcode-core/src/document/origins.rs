//! Where each field of a machine comes from.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Catalog, Document, Hardware, Kind, ResolveError};

/// Who says a field of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "from", content = "name")]
pub enum FieldOrigin {
    /// Its own document.
    Hardware,
    /// The Profile of this name.
    Profile(String),
    /// Nobody: it is what is taken where nothing is said.
    Default,
}

impl std::fmt::Display for FieldOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hardware => f.write_str("Hardware"),
            Self::Profile(name) => write!(f, "Profile {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A field of a machine as it is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldValue {
    /// `spec.os.image`; a list is one field, as it is replaced as a whole.
    pub path: String,
    /// What is in force.
    pub value: Value,
    /// Who says so.
    pub origin: FieldOrigin,
}

impl Catalog<'_> {
    /// Every field of a machine as it is in force, its Profile merged in, with who says it.
    ///
    /// # Errors
    /// As [`Catalog::hardware`].
    pub fn fields(&self, hardware: &str) -> Result<Vec<FieldValue>, ResolveError> {
        let document = self.document(Kind::Hardware, hardware)?;
        let profile = Hardware::profile_of(document);
        let profile = profile.map(|name| self.document(Kind::Profile, name)).transpose()?;
        let machine = Hardware::resolve(document, profile)?;
        // Made of plain types, so this cannot fail; were it to, there would be no fields to show.
        let mut spec = serde_json::to_value(&machine.spec).unwrap_or_default();
        if let Value::Object(fields) = &mut spec {
            fields.insert("hostname".to_owned(), machine.hostname().into());
        }
        let mut fields = Vec::new();
        walk("spec", &spec, Some(&document.spec), profile, profile.map(|p| &p.spec), &mut fields);
        Ok(fields)
    }
}

fn walk(
    path: &str,
    value: &Value,
    own: Option<&Value>,
    profile: Option<&Document>,
    shared: Option<&Value>,
    fields: &mut Vec<FieldValue>,
) {
    if let Value::Object(entries) = value
        && !entries.is_empty()
    {
        for (key, value) in entries {
            let below = |value: Option<&'_ Value>| value.and_then(|value| value.get(key)).cloned();
            let (own, shared) = (below(own), below(shared));
            walk(&format!("{path}.{key}"), value, own.as_ref(), profile, shared.as_ref(), fields);
        }
        return;
    }
    let origin = match (own, shared, profile) {
        (Some(_), ..) => FieldOrigin::Hardware,
        (None, Some(_), Some(profile)) => FieldOrigin::Profile(profile.metadata.name.clone()),
        _ => FieldOrigin::Default,
    };
    fields.push(FieldValue { path: path.to_owned(), value: value.clone(), origin });
}

#[cfg(test)]
mod tests {
    use crate::document::{Catalog, Origin, ResolveError, validate};

    #[test]
    fn each_field_of_a_machine_tells_who_says_it() {
        let text = "apiVersion: bootcode/v1
kind: Profile
metadata: {name: small}
spec: {kernelArgs: [quiet], sshKeys: [], os: {image: a.tar, sha256: 0000000000000000000000000000000000000000000000000000000000000001}}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: n}
spec: {profile: small, arch: arm64, os: {image: b.tar}, interfaces: [{id: a, mac: 02:00:00:00:00:01}]}
";
        let documents =
            validate(&[("f.yaml", text)], &[], Origin::Operator, crate::clock::Timestamp::UNIX_EPOCH)
                .unwrap()
                .into_documents();
        let catalog = Catalog::new(&documents);
        let shown: String = catalog
            .fields("n")
            .unwrap()
            .iter()
            .map(|field| format!("{} = {} ({})\n", field.path, field.value, field.origin))
            .collect();
        insta::assert_snapshot!(shown, @r#"
        spec.profile = "small" (Hardware)
        spec.arch = "aarch64" (Hardware)
        spec.interfaces = [{"id":"a","mac":"02:00:00:00:00:01","network":null,"ip":null,"netboot":false}] (Hardware)
        spec.os.image = "b.tar" (Hardware)
        spec.os.sha256 = "0000000000000000000000000000000000000000000000000000000000000001" (Profile small)
        spec.kernelArgs = ["quiet"] (Profile small)
        spec.localBoot = "auto" (default)
        spec.sshKeys = [] (Profile small)
        spec.instance.tags = [] (default)
        spec.hostname = "n" (default)
        "#);
        assert!(matches!(catalog.fields("m"), Err(ResolveError::Missing { .. })));
    }
}
