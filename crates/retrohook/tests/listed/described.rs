//! The OpenAPI document of the admin port: a linter takes it, and what a node answers is as the document says.

use std::path::Path;

use serde_json::{Value, json};
use testkit::client::Answer;
use testkit::{aws, client, python};

use super::*;

/// A topic with a queue besides, so that each kind of subscription, event and delivery is shown.
fn config(hook: &Server) -> String {
    let yaml = CONFIG.replace("{hook}", &hook.address().to_string());
    format!("{yaml}  - {{ protocol: sqs, endpoint: worker }}\nqueues: [{{ name: worker }}]\n")
}

/// A node that has something in each of its lists, and the event whose delivery is dead.
fn node(hook: &Server) -> (Scene, Value) {
    let mut scene = Scene::prepare(RETROHOOK, &config(hook));
    scene.receiver.set_confirms(false);
    scene.start_gateway();
    for target in ["/profiles/a?1", "/profiles/a?script=reset", "/profiles/b?bad", "/profiles/c?bad"] {
        put(&scene, target);
    }
    let (dead, _) = delivery_of(&scene, "/profiles/b?bad", "waiting");
    let give_up = format!("/retrohook/deliveries/1/{}/give-up?reason=poison", dead["sequence"]);
    assert_eq!(scene.admin().post(&give_up).status, 200);
    delivery_of(&scene, "/profiles/c?bad", "waiting");
    put(&scene, "/profiles/c?2");
    delivery_of(&scene, "/profiles/c?2", "behind");
    delivery_of(&scene, "/profiles/a?1", "delivered");
    put(&scene, "/orders");
    let message = [("TopicArn", "arn:aws:sns:us-east-1:000000000000:orders"), ("Message", "hi")];
    let sent = aws::query(scene.gateway().address("hub"), aws::SNS, "Publish", &message, &[aws::SIGNED]);
    aws::element(&sent.expect("an answer"), "MessageId");
    scene.admin().wait_for_events(7);
    (scene, dead)
}

/// What is asked at each path with a parameter; without one it is asked as it is.
fn targets(path: &str, events: &[Value]) -> Vec<String> {
    let all_events = || events.iter().map(|event| event["id"].as_str().expect("an id").to_owned());
    match path {
        "/retrohook/events/{id}" => all_events().map(|id| path.replace("{id}", &id)).collect(),
        _ if path.contains("{id}") => (1..=3).map(|id| path.replace("{id}", &id.to_string())).collect(),
        _ => vec![path.to_owned(), format!("{path}?limit=1")],
    }
}

/// An answer with the place in the document that describes it.
fn described(path: &str, response: &str, answer: &Answer) -> Value {
    json!({ "path": path, "response": response, "body": answer.json() })
}

/// What a linter says of the document, and of answers that should be as it says.
fn lint(document: &Value, answers: &[Value]) -> python::Said {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/lint_openapi.py");
    python::run(&script, &json!({ "document": document, "answers": answers }))
}

#[test]
fn the_document_is_clean_and_answers_are_as_it_says() {
    let hook = hook();
    let (scene, dead) = node(&hook);
    // One that is open: nobody knows yet what became of it.
    let _open = {
        let mut client = scene.client();
        let target = "/profiles/d?script=wait";
        client.write(&client::request("PUT", target, &[], b"{}")).expect("the proxy reads");
        wait::until("an open intent", || (scene.admin().open_intents() == 1).then_some(()));
        client
    };
    let admin = scene.admin();
    let events = admin.events();
    let document = admin.get("/retrohook/openapi.json").json();
    let mut answers = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let Some(content) = methods["get"]["responses"]["200"]["content"].as_object() else { continue };
        let media: Vec<_> = content.keys().map(String::as_str).collect();
        for target in targets(path, &events) {
            let answer = admin.get(&target);
            let is_unlimited = answer.status == 400 && target.ends_with("limit=1");
            assert!(answer.status == 200 || is_unlimited, "{target}: {}", answer.text());
            let kind = answer.header("content-type").expect("a media type");
            match (&media[..], is_unlimited) {
                (["application/json"], false) => answers.push(described(path, "200", &answer)),
                (["application/json"], true) => answers.push(described(path, "default", &answer)),
                (media, _) => assert!(kind.starts_with(media[0]), "{path}: {kind}, not {media:?}"),
            }
        }
    }
    for (path, target) in [
        ("/retrohook/events/{id}", "/retrohook/events/x"),
        ("/retrohook/events", "/retrohook/events?colour=red"),
    ] {
        answers.push(described(path, "default", &admin.get(target)));
    }
    for (list, name) in [
        ("/retrohook/intents", "intents"),
        ("/retrohook/dead-letters", "dead_letters"),
        ("/retrohook/deliveries", "deliveries"),
        ("/retrohook/subscriptions/{id}/blocked-keys", "keys"),
    ] {
        let has_some = |answer: &Value| answer["path"] == list && !answer["body"][name][0].is_null();
        assert!(answers.iter().any(has_some), "{list} shows nothing that could be wrong");
    }
    let said = lint(&document, &answers);
    assert!(said.ok, "{}", said.text);
    scene.upstream.release();

    // The test can fail: a document that a linter refuses, and answers that are not as it says.
    let mut wrong = document.clone();
    wrong["paths"]["/retrohook/events"]["get"]["responses"] = json!([]);
    let said = lint(&wrong, &[]);
    assert!(!said.ok && said.text.contains("responses"), "{}", said.text);
    let mut answer = described(
        "/retrohook/events/{id}",
        "200",
        &admin.get(&format!("/retrohook/events/{}", dead["id"].as_str().expect("an id"))),
    );
    answer["body"]["deliveries"][0]["state"] = json!(7);
    answer["body"]["deliveries"][0]["colour"] = json!("red");
    let said = lint(&document, &[answer]);
    assert!(
        !said.ok
            && said.text.contains("7 is not of type 'string'")
            && said.text.contains("'colour' was unexpected"),
        "{}",
        said.text
    );
}
