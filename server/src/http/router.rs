//! All endpoints on one page.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sightline_sql::database::Database;

use super::health::{self, Readiness};
use super::upload::{self, Uploads};
use crate::metrics::{self, Statements};

/// What endpoints read. HTTP answers before the database is open, so that a start can be watched.
#[derive(Default)]
pub struct Shared {
    pub readiness: Readiness,
    pub database: OnceLock<Arc<Database>>,
    /// What the listeners count.
    pub statements: Arc<Statements>,
    /// What uploads need, once clients are let in.
    pub uploads: OnceLock<Uploads>,
}

impl Shared {
    fn ready(&self) -> (StatusCode, String) {
        let engine = self.database.get().map(|database| &database.engine);
        let writable = engine.is_none_or(|engine| engine.is_writable());
        let away = engine.and_then(|engine| engine.traffic()?.away);
        health::ready(self.readiness.get(), writable, away)
    }
}

/// The endpoints.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/health", get(async || health::health()))
        .route("/ready", get(async |State(shared): State<Arc<Shared>>| shared.ready()))
        .route("/metrics", get(async |State(shared): State<Arc<Shared>>| metrics_answer(&shared)))
        .route("/api/v1/tables/{tenant}/{table}", axum::routing::put(upload::put))
        .fallback(async || not_found())
        .method_not_allowed_fallback(async || {
            error(StatusCode::METHOD_NOT_ALLOWED, "the endpoint does not take this method")
        })
        .with_state(shared)
}

fn metrics_answer(shared: &Shared) -> Response {
    let text = metrics::render(shared.readiness.get(), &shared.statements, shared.database.get());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn not_found() -> Response {
    error(
        StatusCode::NOT_FOUND,
        "no such endpoint; there are /health, /ready, /metrics and /api/v1/tables/{tenant}/{table}",
    )
}

/// An error as JSON; `message` is ours and needs no escaping.
fn error(status: StatusCode, message: &'static str) -> Response {
    let body = format!("{{\"error\":{{\"status\":{},\"message\":\"{message}\"}}}}\n", status.as_u16());
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
