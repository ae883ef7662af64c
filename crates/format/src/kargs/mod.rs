//! Kernel arguments: an ordered list with the semantics of `OstreeKernelArgs` in libostree 2026.

#[cfg(test)]
mod tests;

use std::fmt;

/// What a boot loader adds by itself to `/proc/cmdline`: GRUB 2, then systemd-boot.
const ADDED_BY_BOOTLOADER: [&str; 2] = ["BOOT_IMAGE=", "initrd="];

/// A change does not fit the arguments present. The texts are those of libostree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelArgsError {
    /// No argument has this key.
    #[error("No key '{key}' found")]
    NoKey {
        /// The key looked for.
        key: String,
    },
    /// The key exists, but not with this value.
    #[error("No karg '{arg}' found")]
    NoArg {
        /// The argument looked for, `key=value`.
        arg: String,
    },
    /// The key exists more than once and the request does not say which is meant.
    #[error("Multiple values for key '{key}' found")]
    SeveralValues {
        /// The ambiguous key.
        key: String,
    },
}

/// Kernel arguments in order, each a key or `key=value`; keys may repeat.
///
/// Arguments are separated by spaces outside double quotes, and quotes stay part of them. An
/// unterminated quote reaches to the end of the text, so that what is appended behind it becomes
/// part of it when read again, by us as by the kernel.
///
/// Where a method takes an argument, text with several arguments stands for each of them in turn,
/// and either all of them are applied or none (libostree stops midway).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelArgs {
    args: Vec<Arg>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Arg {
    key: String,
    value: Option<String>,
}

impl Arg {
    /// Divides at the first `=`, be it inside quotes or not.
    fn new(text: &str) -> Arg {
        match text.split_once('=') {
            Some((key, value)) => Arg { key: key.to_owned(), value: Some(value.to_owned()) },
            None => Arg { key: text.to_owned(), value: None },
        }
    }
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        self.value.iter().try_for_each(|value| write!(f, "={value}"))
    }
}

/// Reading.
impl KernelArgs {
    /// Reads a command line; every text is one.
    pub fn parse(text: &str) -> KernelArgs {
        KernelArgs { args: split(text).map(Arg::new).collect() }
    }

    /// Returns the value of the last argument with this key; `None` if there is no such argument
    /// or it has no value.
    pub fn get_last_value(&self, key: &str) -> Option<&str> {
        self.args.iter().rev().find(|arg| arg.key == key)?.value.as_deref()
    }

    /// Tells whether an argument has the key of this one, whatever its value.
    pub fn contains(&self, arg: &str) -> bool {
        let key = Arg::new(arg).key;
        self.args.iter().any(|found| found.key == key)
    }

    /// Tells whether there is no argument at all.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// Iterates over keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.args.iter().map(|arg| (arg.key.as_str(), arg.value.as_deref()))
    }

    /// Returns the arguments as text, one by one: the form staged deployments are stored in.
    pub fn to_strings(&self) -> Vec<String> {
        self.args.iter().map(Arg::to_string).collect()
    }
}

/// Adding.
impl KernelArgs {
    /// Appends an argument, also if its key is already there.
    ///
    /// Surplus spaces between several arguments are dropped; libostree makes empty arguments of
    /// them.
    pub fn append(&mut self, arg: &str) {
        self.args.extend(split(arg).map(Arg::new));
    }

    /// Appends each argument in turn.
    pub fn append_all<S: AsRef<str>>(&mut self, args: impl IntoIterator<Item = S>) {
        args.into_iter().for_each(|arg| self.append(arg.as_ref()));
    }

    /// Appends an argument unless its key is there, with whatever value.
    ///
    /// Of text with several arguments only the first key is looked at, as libostree does.
    pub fn append_if_missing(&mut self, arg: &str) {
        if !self.contains(arg) {
            self.append(arg);
        }
    }

    /// Appends the content of `/proc/cmdline`, less what the boot loader added to it.
    pub fn append_proc_cmdline(&mut self, cmdline: &str) {
        let cmdline = cmdline.trim_end_matches(|c: char| c.is_ascii_whitespace());
        let added = |arg: &&str| ADDED_BY_BOOTLOADER.iter().any(|prefix| arg.starts_with(prefix));
        self.args.extend(split(cmdline).filter(|arg| !added(arg)).map(Arg::new));
    }

    /// Puts this argument in place of the first with its key and removes the others, or appends
    /// it if there is none.
    ///
    /// The text is taken whole, spaces included.
    pub fn replace_take(&mut self, arg: &str) {
        let arg = Arg::new(arg);
        let at = self.args.iter().position(|found| found.key == arg.key);
        self.args.retain(|found| found.key != arg.key);
        self.args.insert(at.unwrap_or(self.args.len()), arg);
    }
}

/// Changing what must be there.
impl KernelArgs {
    /// Replaces a value: `key=new` or `key` where the key occurs once, else `key=old=new`.
    ///
    /// Fails if the key or the old value is missing, or if the short form meets several values.
    pub fn replace(&mut self, arg: &str) -> Result<(), KernelArgsError> {
        let mut next = self.clone();
        split(arg).try_for_each(|one| next.replace_one(Arg::new(one)))?;
        *self = next;
        Ok(())
    }

    /// Removes an argument: `key` where it occurs once or stands without value, or `key=value`.
    ///
    /// Removes the first of equal ones. Fails if there is none, or if a key alone meets several
    /// values.
    pub fn delete(&mut self, arg: &str) -> Result<(), KernelArgsError> {
        let mut next = self.clone();
        split(arg).try_for_each(|one| next.delete_one(Arg::new(one)))?;
        *self = next;
        Ok(())
    }

    /// Like [`KernelArgs::delete`], but does nothing if no argument has the key.
    ///
    /// It still fails if the key is there with other values only, as libostree does. Text with
    /// several arguments is looked up as one key, so that nothing happens.
    pub fn delete_if_present(&mut self, arg: &str) -> Result<(), KernelArgsError> {
        if self.contains(arg) { self.delete(arg) } else { Ok(()) }
    }

    /// Removes every argument with this key; fails if there is none.
    pub fn delete_key_entry(&mut self, key: &str) -> Result<(), KernelArgsError> {
        let before = self.args.len();
        self.args.retain(|arg| arg.key != key);
        if self.args.len() == before {
            return Err(KernelArgsError::NoKey { key: key.to_owned() });
        }
        Ok(())
    }

    fn replace_one(&mut self, arg: Arg) -> Result<(), KernelArgsError> {
        let places = self.places(&arg.key)?;
        if let Some((old, new)) = arg.value.as_deref().and_then(|value| value.split_once('=')) {
            let at = self
                .place_of(&places, Some(old))
                .ok_or_else(|| KernelArgsError::NoArg { arg: format!("{}={old}", arg.key) })?;
            self.args[at].value = Some(new.to_owned());
            return Ok(());
        }
        match places[..] {
            [at] => self.args[at].value = arg.value,
            _ => return Err(KernelArgsError::SeveralValues { key: arg.key }),
        }
        Ok(())
    }

    fn delete_one(&mut self, arg: Arg) -> Result<(), KernelArgsError> {
        let places = self.places(&arg.key)?;
        let at = match (&places[..], &arg.value) {
            ([only], None) => *only,
            (_, value) => self.place_of(&places, value.as_deref()).ok_or_else(|| match value {
                Some(_) => KernelArgsError::NoArg { arg: arg.to_string() },
                None => KernelArgsError::SeveralValues { key: arg.key.clone() },
            })?,
        };
        self.args.remove(at);
        Ok(())
    }

    fn places(&self, key: &str) -> Result<Vec<usize>, KernelArgsError> {
        let places: Vec<usize> =
            (0..self.args.len()).filter(|at| self.args[*at].key == key).collect();
        if places.is_empty() {
            return Err(KernelArgsError::NoKey { key: key.to_owned() });
        }
        Ok(places)
    }

    fn place_of(&self, places: &[usize], value: Option<&str>) -> Option<usize> {
        places.iter().copied().find(|at| self.args[*at].value.as_deref() == value)
    }
}

impl fmt::Display for KernelArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arg) in self.args.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            arg.fmt(f)?;
        }
        Ok(())
    }
}

/// Splits at spaces outside double quotes and drops empty pieces.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let divides = move |c: char| {
        quoted ^= c == '"';
        c == ' ' && !quoted
    };
    text.split(divides).filter(|arg| !arg.is_empty())
}
