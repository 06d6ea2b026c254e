//! Passwords as they are kept: SCRAM-SHA-256 verifiers, from which nobody can log in and which tell whether somebody else
//! knows the password (RFC 5802, RFC 7677; the stored form is PostgreSQL's,
//! <https://www.postgresql.org/docs/15/catalog-pg-authid.html>).

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac, pbkdf2, rand};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::secret::Secret;

/// What PostgreSQL takes; clients compute as often as the server says.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");
/// More would let a stored verifier make clients, and the server that makes verifiers, busy for minutes.
const ITERATIONS_MAX: u32 = 1_000_000;
const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = digest::SHA256_OUTPUT_LEN;
const PREFIX: &str = "SCRAM-SHA-256";

/// What is known of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub iterations: NonZeroU32,
    pub salt: Vec<u8>,
    pub stored_key: [u8; KEY_BYTES],
    pub server_key: [u8; KEY_BYTES],
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Reads the stored form; none if it is another text.
    pub fn parse(text: &str) -> Option<Verifier> {
        let (mechanism, rest) = text.split_once('$')?;
        let (head, keys) = rest.split_once('$')?;
        let ((iterations, salt), (stored, server)) = (head.split_once(':')?, keys.split_once(':')?);
        let decoded = |text: &str| BASE64_STANDARD.decode(text).ok();
        let iterations = iterations.parse().ok().filter(|n: &NonZeroU32| n.get() <= ITERATIONS_MAX)?;
        let salt = decoded(salt).filter(|salt| !salt.is_empty())?;
        let (stored_key, server_key) = (decoded(stored)?.try_into().ok()?, decoded(server)?.try_into().ok()?);
        (mechanism == PREFIX).then_some(Verifier { iterations, salt, stored_key, server_key })
    }

    /// The verifier of a password under this salt.
    pub fn of_password(password: &str, salt: Vec<u8>, iterations: NonZeroU32) -> Verifier {
        // What SASLprep refuses is taken as it is, as PostgreSQL does (RFC 4013).
        let prepared = stringprep::saslprep(password);
        let password = prepared.as_deref().unwrap_or(password);
        let mut salted = [0; KEY_BYTES];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.as_bytes(), &mut salted);
        let key = |name: &[u8]| signature(&salted, name);
        Verifier { iterations, salt, stored_key: hash(&key(b"Client Key")), server_key: key(b"Server Key") }
    }

    /// One that no password has, for a role that does not exist: always the same for the same role and secret, so that an
    /// exchange with it looks like any other.
    pub fn nobody(secret: &[u8; 32], role: &str) -> Verifier {
        let salt = signature(secret, role.as_bytes())[..SALT_BYTES].to_vec();
        let (stored_key, server_key) = (signature(secret, b"stored"), signature(secret, b"server"));
        Verifier { iterations: ITERATIONS, salt, stored_key, server_key }
    }

    /// Whether a client that signs `message` with `proof` knows the password (RFC 5802, section 3).
    pub fn accepts(&self, message: &[u8], proof: &[u8]) -> bool {
        let Ok(mut key) = <[u8; KEY_BYTES]>::try_from(proof) else { return false };
        key.iter_mut().zip(signature(&self.stored_key, message)).for_each(|(k, s)| *k ^= s);
        // A comparison whose time tells nothing.
        let check = hmac::Key::new(hmac::HMAC_SHA256, &self.stored_key);
        hmac::verify(&check, &hash(&key), hmac::sign(&check, &self.stored_key).as_ref()).is_ok()
    }

    /// Whether this is the password.
    pub fn knows(&self, password: &str) -> bool {
        let given = Verifier::of_password(password, self.salt.clone(), self.iterations);
        // A comparison whose time tells nothing.
        let check = hmac::Key::new(hmac::HMAC_SHA256, &self.salt);
        hmac::verify(&check, &given.stored_key, hmac::sign(&check, &self.stored_key).as_ref()).is_ok()
    }

    /// What proves to the client that the server knows the verifier.
    pub fn server_signature(&self, message: &[u8]) -> [u8; KEY_BYTES] {
        signature(&self.server_key, message)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        let (salt, stored) = (encoded(&self.salt), encoded(&self.stored_key));
        write!(f, "{PREFIX}${}:{salt}${stored}:{}", self.iterations, encoded(&self.server_key))
    }
}

fn signature(key: &[u8], message: &[u8]) -> [u8; KEY_BYTES] {
    let signed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    signed.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
}

fn hash(bytes: &[u8]) -> [u8; KEY_BYTES] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Random bytes that nobody can guess.
///
/// # Errors
/// XX000 if the system has none.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = rand::SecureRandom::fill(&rand::SystemRandom::new(), &mut bytes);
    filled.map_err(|_| Error::internal("the system has no random numbers"))?;
    Ok(bytes)
}

/// What is stored for a password as CREATE ROLE gives it: its verifier, or the verifier that it already is.
///
/// # Errors
/// 0A000 for an MD5 hash, 22023 for an empty one.
pub fn stored(given: &Secret) -> Result<Secret> {
    let text = given.reveal();
    if text.is_empty() {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "a password must not be empty")
            .hint("PASSWORD NULL takes a password away."));
    }
    if Verifier::parse(text).is_some() {
        return Ok(given.clone());
    }
    if text.strip_prefix("md5").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(Error::unsupported("MD5 passwords are not supported")
            .hint("Give the password itself, or a SCRAM-SHA-256 verifier of it."));
    }
    let salt = random::<SALT_BYTES>()?.to_vec();
    Ok(Secret::new(Verifier::of_password(text, salt, ITERATIONS).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 stores for this password and salt.
    #[test]
    fn verifiers_are_postgresqls() {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::of_password("pencil", salt, ITERATIONS);
        let text = verifier.to_string();
        assert_eq!(
            text,
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
        assert_eq!(Verifier::parse(&text), Some(verifier));
        for wrong in ["", "pencil", "SCRAM-SHA-256$0:c2FsdA==$a:b", "SCRAM-SHA-1$4096:c2FsdA==$aaaa:bbbb"] {
            assert_eq!(Verifier::parse(wrong), None, "{wrong}");
        }
    }

    /// The example of RFC 7677, section 3.
    #[test]
    fn a_proof_is_accepted_and_no_other() {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::of_password("pencil", salt, ITERATIONS);
        let message = concat!(
            "n=user,r=rOprNGfwEbeRWgbNEkqO,",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        );
        let mut proof = BASE64_STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        assert!(verifier.accepts(message.as_bytes(), &proof));
        let signed = BASE64_STANDARD.encode(verifier.server_signature(message.as_bytes()));
        assert_eq!(signed, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        proof[0] ^= 1;
        assert!(!verifier.accepts(message.as_bytes(), &proof) && !verifier.accepts(message.as_bytes(), &[]));
        assert!(!Verifier::nobody(&[7; 32], "x").accepts(message.as_bytes(), &proof));
    }

    #[test]
    fn what_is_stored() {
        let given = Secret::new("geheim");
        let kept = stored(&given).unwrap();
        assert!(Verifier::parse(kept.reveal()).is_some() && stored(&kept).unwrap() == kept);
        assert!(stored(&given).unwrap() != kept, "each has a salt of its own");
        assert_eq!(stored(&Secret::new("")).unwrap_err().code(), SqlState::INVALID_PARAMETER_VALUE);
        let md5 = Secret::new("md5d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(stored(&md5).unwrap_err().code(), SqlState::FEATURE_NOT_SUPPORTED);
    }
}
