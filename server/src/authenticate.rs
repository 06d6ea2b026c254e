//! Who may speak, asked by every listener before a session exists: by password (SCRAM-SHA-256), or on trust where nobody
//! has one yet. Whether the role may log in and use the tenant is asked later, by `Database::connect`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sightline_sql::database::Credential;
use sightline_sql::password::{self, Verifier};
use sightline_storage::error::{Error, Result, SqlState};
use tokio::time::Instant;
use tracing::warn;

/// How long the answer to the first wrong password waits; each further one takes twice as long …
const DELAY: Duration = Duration::from_millis(100);
/// … but no longer than this.
const DELAY_MAX: Duration = Duration::from_secs(10);
/// After so long without a failure the count begins anew.
const FORGET: Duration = Duration::from_secs(300);
/// Addresses remembered at a time.
const ADDRESSES_MAX: usize = 10_000;

/// The rule by which connections are let in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Door {
    trust_remote: bool,
    /// Makes the verifiers of roles that do not exist.
    secret: [u8; 32],
    failures: Arc<Mutex<HashMap<IpAddr, Failures>>>,
    /// Somebody was let in on trust, and the log says so.
    warned: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

/// What a client has to do.
#[derive(Debug)]
pub enum Demand {
    /// Nothing.
    Trust,
    /// Show that it knows the password. With `hopeless` it does not help: there is no password, or it has expired.
    Password { verifier: Verifier, hopeless: bool },
}

impl Door {
    /// A door that trusts this machine, and with `trust_remote` everybody, until a superuser has a password.
    ///
    /// # Errors
    /// XX000 if the system has no random numbers.
    pub fn new(trust_remote: bool) -> Result<Door> {
        let (failures, warned) = (Arc::default(), Arc::default());
        Ok(Door { trust_remote, secret: password::random()?, failures, warned })
    }

    /// What the client must do to come in.
    ///
    /// # Errors
    /// 28000, fatal to the connection, where it can't.
    pub fn demand(&self, peer: SocketAddr, user: &str, database: &str, credential: Credential) -> Result<Demand> {
        let Credential { verifier, expired, asked } = credential;
        match verifier {
            Some(verifier) => Ok(Demand::Password { verifier, hopeless: expired }),
            None if asked => Ok(Demand::Password { verifier: Verifier::nobody(&self.secret, user), hopeless: true }),
            None if self.trust_remote || is_this_machine(peer.ip()) => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    warn!(user, database, "let in on trust: no superuser has a password yet (ALTER ROLE … PASSWORD)");
                }
                Ok(Demand::Trust)
            }
            None => Err(no_entry(peer, user, database)),
        }
    }

    /// Tells of a wrong password, and returns when it may be answered: the longer, the more there were from that address.
    pub async fn failed(&self, peer: SocketAddr) {
        let delay = self.count_failure(peer.ip().to_canonical());
        tokio::time::sleep(delay).await;
    }

    fn count_failure(&self, address: IpAddr) -> Duration {
        let now = Instant::now();
        let mut failures = self.failures.lock();
        if failures.len() >= ADDRESSES_MAX {
            failures.retain(|_, f| now.duration_since(f.last) < FORGET);
        }
        if failures.len() >= ADDRESSES_MAX && !failures.contains_key(&address) {
            // So many at once are one attack: all of its addresses wait as long as can be.
            return DELAY_MAX;
        }
        let known = failures.entry(address).or_insert(Failures { count: 0, last: now });
        if now.duration_since(known.last) >= FORGET {
            known.count = 0;
        }
        (known.count, known.last) = (known.count.saturating_add(1), now);
        DELAY.saturating_mul(1 << (known.count - 1).min(16)).min(DELAY_MAX)
    }

    /// Tells of a right password.
    pub fn succeeded(&self, peer: SocketAddr) {
        self.failures.lock().remove(&peer.ip().to_canonical());
    }
}

fn no_entry(peer: SocketAddr, user: &str, database: &str) -> Error {
    let message = format!("no entry for host \"{}\", user \"{user}\", database \"{database}\"", peer.ip());
    Error::new(SqlState::INVALID_AUTHORIZATION, message)
        .detail("Without passwords only connections from the server's own machine are trusted.")
        .hint("There, give the superuser a password: ALTER ROLE sightline PASSWORD '…'.")
}

/// PostgreSQL's error, which does not tell what is wrong.
pub fn wrong_password(user: &str) -> Error {
    Error::new(SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{user}\""))
}

/// Loopback, also as IPv6 writes an IPv4 address.
fn is_this_machine(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(verifier: bool, expired: bool, asked: bool) -> Credential {
        Credential { verifier: verifier.then(|| Verifier::nobody(&[1; 32], "u")), expired, asked }
    }

    fn demand(trust_remote: bool, peer: &str, credential: Credential) -> Option<Demand> {
        Door::new(trust_remote).unwrap().demand(peer.parse().unwrap(), "u", "d", credential).ok()
    }

    #[test]
    fn only_this_machine_is_trusted_unless_told() {
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(matches!(demand(false, peer, credential(false, false, false)), Some(Demand::Trust)), "{peer}");
        }
        for peer in ["10.0.0.1:1", "[2001:db8::1]:1"] {
            assert!(demand(false, peer, credential(false, false, false)).is_none(), "{peer}");
            assert!(matches!(demand(true, peer, credential(false, false, false)), Some(Demand::Trust)), "{peer}");
        }
    }

    #[test]
    fn a_password_is_asked_once_there_is_one() {
        let asked = |c| demand(true, "127.0.0.1:1", c);
        let hopeless = |d| match d {
            Some(Demand::Password { hopeless, .. }) => hopeless,
            other => panic!("{other:?}"),
        };
        assert!(!hopeless(asked(credential(true, false, true))));
        assert!(hopeless(asked(credential(true, true, true))), "it has expired");
        assert!(hopeless(asked(credential(false, false, true))), "the role has none");
        assert!(!hopeless(asked(credential(true, false, false))), "its own is asked even if no superuser has one");
    }

    #[test]
    fn wrong_passwords_take_longer_and_longer() {
        let door = Door::new(false).unwrap();
        let peer = "10.0.0.1:5".parse::<SocketAddr>().unwrap();
        let delays = (0..12).map(|_| door.count_failure(peer.ip())).collect::<Vec<_>>();
        assert!(delays.windows(2).all(|d| d[0] <= d[1]) && delays[0] == DELAY && delays[11] == DELAY_MAX, "{delays:?}");
        assert_eq!(door.count_failure("10.0.0.2".parse().unwrap()), DELAY, "another address");
        door.succeeded(peer);
        assert_eq!(door.count_failure(peer.ip()), DELAY);
    }
}
