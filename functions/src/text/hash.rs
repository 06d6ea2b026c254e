//! `md5`, `sha224`, `sha256`, `sha384`, `sha512`
//! (<https://www.postgresql.org/docs/15/functions-binarystring.html>).

use arrow::array::ArrayRef;
use datafusion_common::Result;
use md5::Md5;
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::encode::hex;
use crate::udf::{Call, Form, Function, Type};

pub(super) const MD5: Function = Function::new(
    "md5",
    "The MD5 hash in hexadecimal.",
    &[
        Form::new(&[Type::Text], Type::Text, |call| {
            let texts = call.text(0);
            call.map_text(|row| Ok(Some(hex(&Md5::digest(texts.value(row).as_bytes())))))
        }),
        Form::new(&[Type::Bytea], Type::Text, |call| {
            let values = call.bytes(0);
            call.map_text(|row| Ok(Some(hex(&Md5::digest(values.value(row))))))
        }),
    ],
);
pub(super) const SHA224: Function =
    Function::new("sha224", "The SHA-224 hash.", &[Form::new(&[Type::Bytea], Type::Bytea, digest::<Sha224>)]);
pub(super) const SHA256: Function =
    Function::new("sha256", "The SHA-256 hash.", &[Form::new(&[Type::Bytea], Type::Bytea, digest::<Sha256>)]);
pub(super) const SHA384: Function =
    Function::new("sha384", "The SHA-384 hash.", &[Form::new(&[Type::Bytea], Type::Bytea, digest::<Sha384>)]);
pub(super) const SHA512: Function =
    Function::new("sha512", "The SHA-512 hash.", &[Form::new(&[Type::Bytea], Type::Bytea, digest::<Sha512>)]);

fn digest<D: Digest>(call: &Call) -> Result<ArrayRef> {
    let values = call.bytes(0);
    call.map_bytes(|row| Ok(D::digest(values.value(row)).to_vec()))
}
