//! Domains: CREATE and ALTER.

use crate::answer::Answer;
use crate::parser::user_type::{AlterDomain, CreateDomain};
use crate::session::Session;
use sightline_storage::error::{Error, Result};

pub(in crate::statement) fn create(_session: &mut Session, _create: &CreateDomain) -> Result<Answer> {
    Err(Error::unsupported("CREATE DOMAIN is not supported"))
}

pub(in crate::statement) fn alter(_session: &mut Session, _alter: &AlterDomain) -> Result<Answer> {
    Err(Error::unsupported("ALTER DOMAIN is not supported"))
}
