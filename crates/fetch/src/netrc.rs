/// A name and a password for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The host; `None` is any (`default`).
    pub host: Option<String>,
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Login {
    /// The first that fits `host`.
    pub(crate) fn find<'a>(logins: &'a [Login], host: &str) -> Option<&'a Login> {
        logins.iter().find(|login| login.host.as_deref().is_none_or(|h| h == host))
    }
}

/// Reads the text of a file `.netrc`. Macros and what is not understood are passed over.
pub fn parse_netrc(text: &str) -> Vec<Login> {
    let mut logins = Vec::new();
    let mut words = text
        .lines()
        .map(|line| line.split(" #").next().unwrap_or_default())
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace);
    let mut open: Option<Login> = None;
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" => {
                logins.extend(open.take());
                let host = if word == "machine" { words.next().map(str::to_string) } else { None };
                if word == "default" || host.is_some() {
                    open = Some(Login { host, user: String::new(), password: String::new() });
                }
            }
            "login" | "password" => {
                let value = words.next().unwrap_or_default().to_string();
                match (&mut open, word) {
                    (Some(login), "login") => login.user = value,
                    (Some(login), _) => login.password = value,
                    (None, _) => {}
                }
            }
            "account" => {
                words.next();
            }
            _ => {}
        }
    }
    logins.extend(open);
    logins.retain(|login| !login.user.is_empty());
    logins
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the layouts that are about: one line, several, a default at the end.
    #[test]
    fn machines_and_a_default() {
        let text = "# mine\nmachine a.example login me password secret\n\
                    machine b.example\n  login you\n  account x\n  password 's #3\n\
                    default login any password one\n";
        let logins = parse_netrc(text);
        let find =
            |host| Login::find(&logins, host).map(|l| (l.user.as_str(), l.password.as_str()));
        assert_eq!(find("a.example"), Some(("me", "secret")));
        assert_eq!(find("b.example"), Some(("you", "'s")));
        assert_eq!(find("c.example"), Some(("any", "one")));
        assert_eq!(parse_netrc("machine"), []);
    }
}
