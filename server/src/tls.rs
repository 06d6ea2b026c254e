//! Encryption of the listeners: TLS 1.3, by a certificate of one's own or by one that is made at the first start and lies
//! in the data directory. The made one proves nothing to a client, but keeps others from listening in.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use sightline_storage::error::{Error, Result, SqlState};
use tokio_rustls::TlsAcceptor;
use tracing::info;

use crate::config::Config;

/// What clients that negotiate protocols call PostgreSQL's (<https://www.postgresql.org/docs/17/protocol-flow.html>).
const ALPN: &[u8] = b"postgresql";
const ONLY_NEW: &[&SupportedProtocolVersion] = &[&version::TLS13];
const OLD_TOO: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// The acceptor that the settings ask for; none if TLS is off.
///
/// # Errors
/// F0000 for files that are missing or do not fit together, 58030 if a certificate cannot be written.
pub fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>> {
    if !config.tls {
        return Ok(None);
    }
    let (certificate, key) = match (&config.tls_cert_file, &config.tls_key_file) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        (None, None) => made(&config.data_dir.join("tls"))?,
        _ => return Err(invalid("tls_cert_file and tls_key_file belong together: one of them is missing")),
    };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| invalid(format!("cannot read a certificate from \"{}\": {e}", certificate.display())))?;
    let key_der = PrivateKeyDer::from_pem_file(&key)
        .map_err(|e| invalid(format!("cannot read a private key from \"{}\": {e}", key.display())))?;
    let versions = if config.tls_min_version == TlsVersion::V12 { OLD_TOO } else { ONLY_NEW };
    let mut settings = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .and_then(|b| b.with_no_client_auth().with_single_cert(chain, key_der))
        .map_err(|e| invalid(format!("\"{}\" and \"{}\" are of no use: {e}", certificate.display(), key.display())))?;
    settings.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(settings))))
}

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    V12,
    V13,
}

/// The paths of certificate and key in this directory, made if they are missing.
fn made(directory: &Path) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (directory.join("server.crt"), directory.join("server.key"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let mut names = vec!["localhost".to_string(), "127.0.0.1".to_string(), "::1".to_string()];
    // A certificate's names are ASCII; a machine that is called otherwise goes without.
    let host = fs::read_to_string("/etc/hostname").ok().map(|n| n.trim().to_string());
    names.extend(host.filter(|n| !n.is_empty() && n.is_ascii()));
    let signed = rcgen::generate_simple_self_signed(names)
        .map_err(|e| Error::internal("a certificate could not be made").source(e))?;
    fs::create_dir_all(directory)?;
    // The key first: where the certificate is, its key is whole.
    write(&key, &signed.signing_key.serialize_pem(), 0o600)?;
    write(&certificate, &signed.cert.pem(), 0o644)?;
    info!(certificate = %certificate.display(), "a self-signed certificate was made");
    Ok((certificate, key))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::new("F0000"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(directory: &Path) -> Config {
        Config { data_dir: directory.to_path_buf(), ..Config::defaults() }
    }

    #[test]
    fn a_certificate_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        assert!(acceptor(&config).unwrap().is_some());
        let key = folder.path().join("tls/server.key");
        let (first, mode) = (fs::read(&key).unwrap(), fs::metadata(&key).unwrap());
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
        assert!(acceptor(&config).unwrap().is_some());
        assert_eq!(fs::read(&key).unwrap(), first);
    }

    #[test]
    fn wrong_files_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(folder.path().join(name));
        let config = config(folder.path());
        assert!(acceptor(&Config { tls: false, ..config.clone() }).unwrap().is_none());
        assert!(acceptor(&Config { tls_cert_file: path("x"), ..config.clone() }).is_err(), "the key is missing");
        let missing = Config { tls_cert_file: path("x"), tls_key_file: path("y"), ..config };
        let error = acceptor(&missing).err().expect("no such files");
        assert!(error.message().contains("cannot read a certificate"), "{error}");
    }
}
