//! One table of settings that drives SET, SHOW and pg_settings. Skeleton.

/// A session's settings.
#[derive(Clone, Debug, Default)]
pub struct Settings {}
