//! SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677; its messages in PostgreSQL's protocol:
//! <https://www.postgresql.org/docs/15/sasl-authentication.html>).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, Bytes};
use pgwire::messages::startup::Authentication;
use sightline_sql::codec::scalar::text_of;
use sightline_sql::password::{self, Verifier};
use sightline_storage::error::{Error, Result, SqlState};

use super::wire::{Broken, Reader, Writer};

const MECHANISM: &str = "SCRAM-SHA-256";
const NONCE_BYTES: usize = 18;

/// Lets the client prove that it knows the password; false if it does not. Where that is `hopeless` it learns nothing.
///
/// # Errors
/// 08P01 for what is no message of SCRAM, 08006 if the client left.
pub(super) async fn prove(
    reader: &mut Reader,
    writer: &mut Writer,
    verifier: &Verifier,
    hopeless: bool,
) -> Result<bool> {
    send(writer, &Authentication::SASL(vec![MECHANISM.to_string()])).await?;
    let first = ClientFirst::parse(initial_response(receive(reader).await?)?)?;
    let nonce = format!("{}{}", first.nonce, BASE64_STANDARD.encode(password::random::<NONCE_BYTES>()?));
    let salt = BASE64_STANDARD.encode(&verifier.salt);
    let server_first = format!("r={nonce},s={salt},i={}", verifier.iterations);
    send(writer, &Authentication::SASLContinue(Bytes::from(server_first.clone()))).await?;

    let last = receive(reader).await?;
    let (unproved, proof) = client_final(text_of(&last)?, &first.header, &nonce)?;
    let message = format!("{},{server_first},{unproved}", first.bare);
    if !verifier.accepts(message.as_bytes(), &proof) || hopeless {
        return Ok(false);
    }
    let signature = BASE64_STANDARD.encode(verifier.server_signature(message.as_bytes()));
    let last = Authentication::SASLFinal(Bytes::from(format!("v={signature}")));
    writer.message(&last)?;
    Ok(true)
}

async fn send(writer: &mut Writer, message: &Authentication) -> Result<()> {
    writer.message(message)?;
    Ok(writer.flush().await?)
}

async fn receive(reader: &mut Reader) -> Result<Bytes> {
    match reader.password_message().await {
        Ok(Some(body)) => Ok(body),
        Ok(None) => Err(Error::new(SqlState::CONNECTION_FAILURE, "the client left during authentication")),
        Err(Broken::Io(e)) => Err(e.into()),
        Err(Broken::Protocol(e)) => Err(e),
    }
}

fn malformed(what: &str) -> Error {
    Error::new(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message").detail(what)
}

/// Takes the mechanism and the length off the first message.
fn initial_response(mut body: Bytes) -> Result<String> {
    let end = body.iter().position(|b| *b == 0).ok_or_else(|| malformed("The mechanism does not end."))?;
    let mechanism = body.split_to(end);
    if mechanism != MECHANISM.as_bytes() {
        return Err(Error::new(
            SqlState::PROTOCOL_VIOLATION,
            "client selected an invalid SASL authentication mechanism",
        ));
    }
    body.advance(1);
    if body.len() < 4 || body.get_u32() as usize != body.len() {
        return Err(malformed("The length of the initial response is wrong."));
    }
    Ok(text_of(&body)?.to_string())
}

/// The client's first message, `n,,n=,r=<nonce>`.
#[derive(Debug, PartialEq, Eq)]
struct ClientFirst {
    /// The GS2 header, with its commas.
    header: String,
    /// All after the header.
    bare: String,
    nonce: String,
}

impl ClientFirst {
    fn parse(text: String) -> Result<ClientFirst> {
        let mut parts = text.splitn(3, ',');
        let (Some(binding), Some(identity), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("The header is missing."));
        };
        match binding {
            // `y`: it could bind to a channel, and saw that we do not offer it.
            "n" | "y" => {}
            _ if binding.starts_with("p=") => {
                return Err(malformed("The client asks for channel binding, which was not offered."));
            }
            _ => return Err(malformed("The channel binding flag is unknown.")),
        }
        if !identity.is_empty() {
            return Err(Error::unsupported("client uses authorization identity, but it is not supported"));
        }
        // The name in `n=` is that of the startup packet, whatever it says.
        let mut attributes = bare.split(',');
        let name = attributes.next().unwrap_or_default();
        if name.starts_with("m=") {
            return Err(Error::unsupported("client requires an unsupported SCRAM extension"));
        }
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).unwrap_or_default();
        let printable = nonce.bytes().all(|b| (0x21..=0x7e).contains(&b));
        if !name.starts_with("n=") || nonce.is_empty() || !printable {
            return Err(malformed("The name or the nonce is missing."));
        }
        let (nonce, header) = (nonce.to_string(), format!("{binding},,"));
        Ok(ClientFirst { header, bare: bare.to_string(), nonce })
    }
}

/// The client's last message, `c=<header>,r=<nonce>,p=<proof>`: all before the proof, and the proof.
fn client_final<'a>(text: &'a str, header: &str, nonce: &str) -> Result<(&'a str, Vec<u8>)> {
    let (unproved, proof) = text.rsplit_once(",p=").ok_or_else(|| malformed("The proof is missing."))?;
    let mut attributes = unproved.split(',');
    let binding = attributes.next().and_then(|a| a.strip_prefix("c=")).unwrap_or_default();
    if BASE64_STANDARD.decode(binding).ok().as_deref() != Some(header.as_bytes()) {
        return Err(malformed("The channel binding does not match the first message."));
    }
    if attributes.next().and_then(|a| a.strip_prefix("r=")) != Some(nonce) {
        return Err(malformed("The nonce does not match."));
    }
    let proof = BASE64_STANDARD.decode(proof).map_err(|_| malformed("The proof is not base64."))?;
    Ok((unproved, proof))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_messages() {
        let first = ClientFirst::parse("n,,n=,r=abc".to_string()).unwrap();
        assert_eq!((first.header.as_str(), first.bare.as_str(), first.nonce.as_str()), ("n,,", "n=,r=abc", "abc"));
        assert_eq!(ClientFirst::parse("y,,n=x,r=abc,ext=1".to_string()).unwrap().header, "y,,");
        for wrong in [
            "",
            "n",
            "n,,",
            "n,,n=",
            "n,,n=,r=",
            "q,,n=,r=a",
            "p=tls-unique,,n=,r=a",
            "n,a=x,n=,r=a",
            "n,,m=1,n=,r=a",
            "n,,n=,r=a\u{e9}",
        ] {
            assert!(ClientFirst::parse(wrong.to_string()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn final_messages() {
        let (unproved, proof) = client_final("c=biws,r=abc,p=AAEC", "n,,", "abc").unwrap();
        assert_eq!((unproved, proof), ("c=biws,r=abc", vec![0, 1, 2]));
        for wrong in
            ["", "c=biws,r=abc", "c=eSws,r=abc,p=AAEC", "c=biws,r=abd,p=AAEC", "c=biws,r=abc,p=!", "r=abc,p=AAEC"]
        {
            assert!(client_final(wrong, "n,,", "abc").is_err(), "{wrong}");
        }
    }

    #[test]
    fn initial_responses() {
        let message = |mechanism: &str, length: u32, data: &str| {
            Bytes::from([mechanism.as_bytes(), b"\0", &length.to_be_bytes(), data.as_bytes()].concat())
        };
        assert_eq!(initial_response(message(MECHANISM, 3, "abc")).unwrap(), "abc");
        for wrong in
            [message("PLAIN", 3, "abc"), message(MECHANISM, 4, "abc"), message(MECHANISM, u32::MAX, ""), Bytes::new()]
        {
            assert_eq!(initial_response(wrong).unwrap_err().code(), SqlState::PROTOCOL_VIOLATION);
        }
    }
}
