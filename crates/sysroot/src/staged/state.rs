use trefoil_format::checksum::Checksum;
use trefoil_format::gvariant::{Metadata, Type, Value};

use crate::{Deployment, Result, SysrootError};

/// A deployment as the state names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stub {
    /// `CHECKSUM.SERIAL`.
    pub(crate) name: String,
    pub(crate) stateroot: String,
    pub(crate) bootcsum: Checksum,
}

impl Stub {
    pub(crate) fn of(deployment: &Deployment) -> Stub {
        Stub {
            name: deployment.name(),
            stateroot: deployment.stateroot.clone(),
            bootcsum: deployment.bootcsum,
        }
    }

    pub(crate) fn names(&self, deployment: &Deployment) -> bool {
        self.name == deployment.name() && self.stateroot == deployment.stateroot
    }

    fn parse(value: &Value) -> Result<Stub> {
        let fields = Metadata::from_value(value.clone()).map_err(bad)?;
        let text = |key: &str| {
            let missing = || SysrootError::State(format!("Missing key: {key}"));
            fields.get_str(key).map(str::to_string).ok_or_else(missing)
        };
        Ok(Stub {
            name: text("name")?,
            bootcsum: Checksum::from_hex(&text("bootcsum")?).map_err(bad)?,
            stateroot: text("osname")?,
        })
    }

    fn to_value(&self) -> Value {
        let mut fields = Metadata::new();
        fields.set("name", Value::Str(self.name.clone()));
        fields.set("osname", Value::Str(self.stateroot.clone()));
        fields.set("bootcsum", Value::Str(self.bootcsum.to_hex()));
        fields.to_value()
    }
}

/// What is in `/run/ostree/staged-deployment`: an `a{sv}` of libostree's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StagedState {
    /// The staged deployment.
    pub(crate) target: Stub,
    /// It is not finished at shutdown.
    pub(crate) locked: bool,
    /// Whose `/etc` it takes over, and whose kernel arguments where it has none of its own.
    pub(crate) merge: Option<Stub>,
    /// Its own kernel arguments.
    pub(crate) kargs: Option<Vec<String>>,
    /// Fields of its boot entry that nobody sets anew.
    pub(crate) extra: Vec<(String, String)>,
    /// All entries as they were read; those not known here stay as they are.
    raw: Metadata,
}

impl StagedState {
    pub(crate) fn new(target: Stub, merge: Option<Stub>, kargs: Option<Vec<String>>) -> Self {
        let (locked, extra, raw) = (false, Vec::new(), Metadata::new());
        StagedState { target, locked, merge, kargs, extra, raw }
    }

    /// Reads the bytes of the file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<StagedState> {
        let raw = Metadata::parse(bytes).map_err(bad)?;
        let target = raw.get("target");
        let target = target.ok_or_else(|| SysrootError::State("Missing key: target".into()))?;
        let kargs = raw.get("kargs").and_then(Value::as_strings);
        Ok(StagedState {
            target: Stub::parse(target)?,
            locked: raw.get("locked").and_then(Value::as_bool).unwrap_or(false),
            merge: raw.get("merge-deployment").map(Stub::parse).transpose()?,
            kargs: kargs.map(|args| args.into_iter().map(str::to_string).collect()),
            extra: raw.get("bootconfig-extra").map(pairs).unwrap_or_default(),
            raw,
        })
    }

    /// Overlays of the initramfs, which only libostree makes.
    pub(crate) fn has_overlay_initrds(&self) -> bool {
        self.raw.get("overlay-initrds").and_then(Value::as_array).is_some_and(|a| !a.is_empty())
    }

    /// The bytes of the file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut fields = self.raw.clone();
        fields.set("target", self.target.to_value());
        if self.locked || fields.get("locked").is_some() {
            fields.set("locked", Value::Bool(self.locked));
        }
        if let Some(merge) = &self.merge {
            fields.set("merge-deployment", merge.to_value());
        }
        if let Some(kargs) = &self.kargs {
            fields.set("kargs", Value::strings(kargs.iter().map(String::as_str)));
        }
        if !self.extra.is_empty() {
            let entry = |(key, value): &(String, String)| {
                Value::dict_entry(Value::Str(key.clone()), Value::Str(value.clone()))
            };
            let items = self.extra.iter().map(entry).collect();
            let ty = Type::dict_entry(Type::Str, Type::Str);
            fields.set("bootconfig-extra", Value::Array(ty, items));
        }
        fields.to_bytes()
    }
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let pair = |item: &Value| match item {
        Value::DictEntry(entry) => match &**entry {
            (Value::Str(key), Value::Str(value)) => Some((key.clone(), value.clone())),
            _ => None,
        },
        _ => None,
    };
    value.as_array().unwrap_or_default().iter().filter_map(pair).collect()
}

fn bad(e: impl std::error::Error) -> SysrootError {
    SysrootError::State(format!("the state of the staged deployment: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: every field survives, what others put there too, and no bytes make it panic.
    #[test]
    fn state_survives() {
        let stub = |name: &str| Stub {
            name: name.into(),
            stateroot: "os".into(),
            bootcsum: Checksum::of(name.as_bytes()),
        };
        let kargs = Some(vec!["a=b".to_string(), "quiet".into()]);
        let mut state = StagedState::new(stub("x.0"), Some(stub("y.1")), kargs);
        state.extra = vec![("x-key".into(), "value".into())];
        let bytes = state.to_bytes();
        let read = StagedState::parse(&bytes).expect("just written");
        assert_eq!((&read.target, &read.merge, read.locked), (&state.target, &state.merge, false));
        assert_eq!((&read.kargs, &read.extra), (&state.kargs, &state.extra));
        assert_eq!(read.to_bytes(), bytes);

        let mut fields = Metadata::parse(&bytes).expect("a{sv}");
        fields.set("of-tomorrow", Value::Uint32(7));
        let mut read = StagedState::parse(&fields.to_bytes()).expect("more fields");
        read.locked = true;
        let fields = Metadata::parse(&read.to_bytes()).expect("a{sv}");
        assert_eq!(fields.get("of-tomorrow"), Some(&Value::Uint32(7)));
        assert_eq!(fields.get("locked"), Some(&Value::Bool(true)));
        for cut in 0..bytes.len() {
            let _ = StagedState::parse(&bytes[..cut]);
        }
        assert!(StagedState::parse(&Metadata::new().to_bytes()).is_err());
    }
}
