//! SNS and SQS as a client without an SDK calls them.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use crate::client::{self, Answer, Client};

/// The version that SNS has in the Query protocol.
pub const SNS: &str = "2010-03-31";
/// The version that SQS has in the Query protocol.
pub const SQS: &str = "2012-11-05";
/// A header as SDKs sign. The signature is made up, because nobody verifies it; but without any, `Unsubscribe` stops a subscription and does not
/// end it.
pub const SIGNED: (&str, &str) = (
    "authorization",
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sns/aws4_request, SignedHeaders=host, Signature=0",
);

const HOST: (&str, &str) = ("host", "localhost");

/// Calls an action in the Query protocol, of the service that has this version.
///
/// # Errors
/// If the connection breaks before the whole answer.
pub fn query(
    hub: SocketAddr,
    version: &str,
    action: &str,
    parameters: &[(&str, &str)],
    more_headers: &[(&str, &str)],
) -> io::Result<Answer> {
    let mut form = form_urlencoded::Serializer::new(format!("Action={action}&Version={version}"));
    form.extend_pairs(parameters);
    let content_type = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let headers = [&[HOST, content_type], more_headers].concat();
    client::send(hub, "POST", "/", &headers, form.finish().as_bytes())
}

/// Calls an operation of SQS in JSON.
///
/// # Errors
/// If the connection breaks before the whole answer.
pub fn sqs(hub: SocketAddr, operation: &str, input: &Value) -> io::Result<Answer> {
    sqs_over(&mut Client::connect(hub)?, operation, input)
}

/// As [`sqs`], over a connection that is kept.
///
/// # Errors
/// If the connection breaks before the whole answer.
pub fn sqs_over(client: &mut Client, operation: &str, input: &Value) -> io::Result<Answer> {
    let target = format!("AmazonSQS.{operation}");
    let headers = [HOST, ("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
    client.send("POST", "/", &headers, input.to_string().as_bytes())
}

/// The text of the first element of this name in an answer of status 200.
///
/// # Panics
/// If the status is another one, or there is no such element.
#[track_caller]
pub fn element(answer: &Answer, name: &str) -> String {
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    within(&text, name)
}

/// The text of the first element of this name in a piece of XML.
///
/// # Panics
/// If there is none.
#[track_caller]
pub fn within(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once(&format!("</{name}>"))
        .unwrap_or_else(|| panic!("{name} does not end in {xml}"))
        .0
        .to_owned()
}
