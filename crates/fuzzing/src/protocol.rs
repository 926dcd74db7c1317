//! Requests to the hub's listener: SQS in JSON with its receipt handles, SNS and SQS in the Query protocol, and SNS's links.
//!
//! Read as: a line `METHOD TARGET OPERATION` (the request's target, and SQS's operation or `-` for a form), then the body. `{handle}` in the body stands
//! for a receipt handle that is good. What must hold: every request is answered in the form of its protocol, never as an error of ours;
//! and who has no good handle loses nobody a message.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hub::queue::Receive;
use hub::testing::{QUEUE, World};
use serde_json::Value;
use tokio::runtime::Runtime;
use tower_service::Service;

const HANDLE: &str = "{handle}";

thread_local! {
    static RUNTIME: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
}

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (line, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut words = line.splitn(3, ' ');
    let (method, target) = (words.next().unwrap_or("POST"), words.next().unwrap_or("/"));
    let operation = words.next().filter(|operation| *operation != "-");
    let mut request = Request::builder().method(method).uri(target).header("host", "localhost:4566");
    if let Some(operation) = operation {
        request = request.header("x-amz-target", format!("AmazonSQS.{operation}"));
    }
    // What is no request never comes to the listener.
    let Ok(request) = request.body(body) else { return };
    if request.method() == Method::CONNECT || !request.uri().path().starts_with('/') {
        return;
    }
    RUNTIME.with(|runtime| runtime.block_on(ask(request)));
}

async fn ask(request: Request<&str>) {
    let world = World::new().await;
    // Nothing waits for messages that nobody sends.
    world.drain.start(tokio::time::Instant::now());
    world.publish(1).await;
    let has_handle = request.body().contains(HANDLE);
    let handle = if has_handle { receive(&world).await.expect("the message") } else { String::new() };
    let is_json = request.headers().contains_key("x-amz-target");
    let request = request.map(|body| Body::from(body.replace(HANDLE, &handle)));

    let mut router = protocols::router(world.hub.clone(), protocols::Options::default());
    let response = router.call(request).await.expect("a router does not fail");
    let status = response.status();
    assert!(!status.is_server_error(), "{status}");
    assert!(response.headers().contains_key("x-amzn-requestid"), "every answer has an id");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    if is_json {
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(answer.is_object());
        let error = answer["__type"].as_str();
        assert_eq!(error.is_some(), status != StatusCode::OK, "{status}: {answer}");
    } else {
        let text = std::str::from_utf8(&body).expect("a text");
        // What a client sent never comes back as markup.
        assert!(!text.contains("<script"), "{text}");
    }
    if !has_handle {
        world.clock.advance(Duration::from_secs(13 * 3_600));
        assert!(receive(&world).await.is_some(), "the message is gone, and nobody had a handle for it");
    }
}

async fn receive(world: &World) -> Option<String> {
    let queue = world.hub.queue(QUEUE).expect("the queue");
    let ask = Receive { max: 1, visibility: None, wait: Some(Duration::ZERO) };
    let mut messages = world.hub.receive(&queue, ask).await.expect("the in-memory store gives messages");
    messages.pop().map(|message| message.handle)
}
