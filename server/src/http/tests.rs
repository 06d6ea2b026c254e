//! The endpoints, asked over a socket, before there is a database.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::health::Phase;
use super::router::{Shared, router};

/// The status and the whole answer.
async fn ask(address: std::net::SocketAddr, request: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let text = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[tokio::test]
async fn endpoints() {
    let shared = Arc::new(Shared::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(Arc::clone(&shared));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    assert_eq!(ask(address, "GET /health").await.0, 200);
    for (phase, status) in [(Phase::Starting, 503), (Phase::Serving, 200), (Phase::Stopping, 503)] {
        shared.readiness.set(phase);
        assert_eq!(ask(address, "GET /ready").await.0, status, "{phase:?}");
    }
    let (status, page) = ask(address, "GET /metrics").await;
    assert!(status == 200 && page.contains("text/plain; version=0.0.4"), "{page}");
    let (status, page) = ask(address, "GET /nothing").await;
    assert!(status == 404 && page.contains("{\"error\":{\"status\":404,"), "{page}");
    let (status, page) = ask(address, "POST /health").await;
    assert!(status == 405 && page.contains("does not take this method"), "{page}");
    server.abort();
}
