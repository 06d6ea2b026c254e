//! The HTTP listener: health for load balancers, metrics for Prometheus. `router` lists all endpoints on one page.

pub mod health;
pub mod router;
pub mod upload;

#[cfg(test)]
mod tests;
