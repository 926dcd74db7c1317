//! Both services through real HTTP on the loopback, over a hub with the in-memory store.

use std::net::SocketAddr;

use hub::testing::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Options;

/// A hub behind a listener.
pub struct Site {
    pub world: World,
    pub address: SocketAddr,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers, as they came.
    pub head: String,
    pub body: String,
}

impl Site {
    pub async fn all() -> Self {
        let world = World::new().await;
        let router = crate::router(world.hub.clone(), Options::default());
        Self::serve(world, router).await
    }

    pub async fn public() -> Self {
        let world = World::new().await;
        let router = crate::public_router(world.hub.clone());
        Self::serve(world, router).await
    }

    pub async fn serve(world: World, router: axum::Router) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { world, address }
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "").await
    }

    pub async fn post_form(&self, target: &str, form: &str) -> Answer {
        self.send("POST", target, &["content-type: application/x-www-form-urlencoded"], form).await
    }

    pub async fn send(&self, method: &str, target: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = self.open(method, target, headers, body).await;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Sends a request and leaves its answer to be read.
    pub async fn open(&self, method: &str, target: &str, headers: &[&str], body: &str) -> TcpStream {
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nhost: hub.test:4566\r\nconnection: close\r\n");
        for header in headers {
            request += &format!("{header}\r\n");
        }
        if method == "POST" {
            request += &format!("content-length: {}\r\n", body.len());
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).await.unwrap();
        stream
    }
}

impl Answer {
    /// A header's value; its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The answer's request id, which must be a UUID of version 4.
    #[track_caller]
    pub fn request_id(&self) -> &str {
        let id = self.header("x-amzn-RequestId").expect("there is a request id");
        assert_eq!(uuid::Uuid::try_parse(id).unwrap().get_version_num(), 4);
        id
    }
}

mod surfaces {
    use hub::testing::{QUEUE, TOKEN};

    use super::*;

    const NO_ACTION: &str = "<UnknownOperationException/>";

    #[tokio::test]
    async fn what_names_no_action_is_not_found() {
        let site = Site::all().await;
        let path = format!("/000000000000/{QUEUE}");
        for answer in [site.get("/").await, site.get(&path).await, site.post_form(&path, "").await] {
            assert_eq!((answer.status, answer.body.as_str()), (404, NO_ACTION));
            answer.request_id();
        }
    }

    #[tokio::test]
    async fn every_answer_has_a_date() {
        let site = Site::all().await;
        assert!(site.get("/").await.header("date").is_some());
    }

    #[tokio::test]
    async fn the_public_listener_serves_no_queues() {
        let site = Site::public().await;
        site.world.publish(1).await;
        let body = format!("{{\"QueueUrl\":\"{QUEUE}\"}}");
        for target in ["/", &format!("/000000000000/{QUEUE}")] {
            let answer = site.send("POST", target, &["x-amz-target: AmazonSQS.ReceiveMessage"], &body).await;
            assert_eq!(answer.status, 400);
            assert!(answer.body.contains("UnknownOperationException"), "{}", answer.body);
        }
        assert_eq!(site.get(&format!("/000000000000/{QUEUE}?Action=ReceiveMessage")).await.status, 400);
        let topic = site.world.hub.names().topic_arn("profile-changes");
        let link = format!("/?Action=ConfirmSubscription&TopicArn={topic}&Token={TOKEN}");
        assert_eq!(site.get(&link).await.status, 200);
    }

    #[tokio::test]
    async fn bodies_have_a_limit() {
        let site = Site::public().await;
        let answer = site.post_form("/", &"x".repeat(crate::body::MAX_PUBLIC_BODY + 1)).await;
        assert_eq!(answer.status, 413);
        assert!(answer.body.contains("<Code>RequestEntityTooLarge</Code>"), "{}", answer.body);
        let headers = ["x-amz-target: AmazonSQS.ListQueues"];
        let answer = site.send("POST", "/", &headers, &"x".repeat(crate::body::MAX_PUBLIC_BODY + 1)).await;
        assert_eq!(answer.status, 413);
        assert_eq!(answer.header("x-amzn-query-error"), Some("RequestEntityTooLarge;Sender"));
        assert_eq!(site.post_form("/", &"x".repeat(crate::body::MAX_PUBLIC_BODY)).await.status, 404);
    }

    #[tokio::test]
    async fn a_body_for_which_there_is_no_room_is_unavailable() {
        let world = World::new().await;
        let options = Options { body_budget: 8 << 10, ..Options::default() };
        let router = crate::router(world.hub.clone(), options);
        let site = Site::serve(world, router).await;
        let headers = ["x-amz-target: AmazonSQS.ListQueues"];
        let padded = |kib: usize| format!("{{}}{}", " ".repeat((kib << 10) - 2));
        assert_eq!(site.send("POST", "/", &headers, &padded(24)).await.status, 200);
        let refused = site.send("POST", "/", &headers, &padded(40)).await;
        assert_eq!(refused.status, 503);
        assert_eq!(refused.header("x-amzn-query-error"), Some("ServiceUnavailable;Receiver"));
        let refused = site.post_form("/", &padded(40)).await;
        assert_eq!(refused.status, 503);
        assert!(refused.body.contains("<Code>ServiceUnavailable</Code>"), "{}", refused.body);
    }

    #[tokio::test]
    async fn bodies_have_a_deadline() {
        let site = Site::all().await;
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        let head =
            "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\nx-amz-target: AmazonSQS.ListQueues\r\n\r\n";
        // The time runs on as soon as nothing else is to be done.
        tokio::time::pause();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 408");
    }
}
