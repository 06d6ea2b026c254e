//! Who may speak, asked by every listener before a session exists. There are no passwords yet, so what decides is
//! where a connection comes from: this machine is trusted, others only if `trust_remote` says so. Whether the role
//! exists and may use the tenant is asked later, by `Database::connect`.

use std::net::{IpAddr, SocketAddr};

use sightline_storage::error::{Error, Result, SqlState};

/// The rule by which connections are let in.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    trust_remote: bool,
}

impl Door {
    /// A door that lets in this machine, and with `trust_remote` everybody.
    pub fn new(trust_remote: bool) -> Door {
        Door { trust_remote }
    }

    /// Lets a connection in or not.
    ///
    /// # Errors
    /// 28000, fatal to the connection.
    pub fn admit(&self, peer: SocketAddr, user: &str, database: &str) -> Result<()> {
        if self.trust_remote || is_this_machine(peer.ip()) {
            return Ok(());
        }
        let message = format!("no entry for host \"{}\", user \"{user}\", database \"{database}\"", peer.ip());
        Err(Error::new(SqlState::INVALID_AUTHORIZATION, message)
            .detail("Without passwords only connections from the server's own machine are trusted.")
            .hint("Set trust_remote = true to let in everybody who reaches the port."))
    }
}

/// Loopback, also as IPv6 writes an IPv4 address.
fn is_this_machine(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(trust_remote: bool, peer: &str) -> bool {
        Door::new(trust_remote).admit(peer.parse().unwrap(), "u", "d").is_ok()
    }

    #[test]
    fn only_this_machine_unless_told() {
        assert!(
            admitted(false, "127.0.0.1:1") && admitted(false, "[::1]:1") && admitted(false, "[::ffff:127.0.0.1]:1")
        );
        assert!(!admitted(false, "10.0.0.1:1") && !admitted(false, "[2001:db8::1]:1"));
        assert!(admitted(true, "10.0.0.1:1"));
    }
}
