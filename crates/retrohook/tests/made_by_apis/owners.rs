//! Who owns what when both change it, what an ended subscription is, and what becomes of a change that cannot be made.

use testkit::receiver::Mood;

use super::*;

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:worker";
const ORDERS: &str = "arn:aws:sns:us-east-1:000000000000:orders";

/// A receiver that has confirmed a subscription of an API's, and its ARN.
#[track_caller]
fn confirmed(scene: &Scene, more: &[(&str, &str)]) -> (Receiver, String) {
    let hook = Receiver::start();
    let arn = element(
        &subscribe(scene, "http", &hook.url("/hook"), &[&[AS_ARN], more].concat()),
        "SubscriptionArn",
    );
    wait::until("the handshake", || listed(scene, "SubscriptionArn").contains(&arn).then_some(()));
    (hook, arn)
}

/// The receiver follows the link that every message has.
#[track_caller]
fn end_by_link(scene: &Scene, arn: &str) {
    let target = format!("/?Action=Unsubscribe&SubscriptionArn={arn}");
    let answer = client::send(scene.gateway().address("hub"), "GET", &target, &[("host", "localhost")], b"");
    assert_eq!(answer.expect("an answer").status, 200);
}

/// What stands in the store's registry: kind and id.
fn rows(scene: &Scene, kind: &str) -> Vec<String> {
    let stored = testkit::process::database(&scene.setup.data_dir());
    let database = rusqlite::Connection::open(stored).expect("the database opens");
    let sql = "SELECT lower(hex(id)) FROM registry WHERE kind = ?1 ORDER BY id";
    let mut rows = database.prepare(sql).expect("a table");
    let ids = rows.query_map([kind], |row| row.get(0)).expect("rows");
    ids.collect::<Result<_, _>>().expect("rows")
}

fn row_of(arn: &str) -> String {
    arn.rsplit(':').next().unwrap_or_default().replace('-', "")
}

/// A line of the log is written behind the answer that it is about.
#[track_caller]
fn said(scene: &Scene, words: &str) {
    scene.gateway().wait_until_it_says(words);
}

#[test]
fn what_a_file_dropped_is_all_there_when_an_api_makes_it_again() {
    let base = Profiles::default().yaml();
    let dropped = "- name: orders\n  subscriptions: [{ protocol: sqs, endpoint: worker }]\nqueues: [{ name: worker }]\n";
    let mut scene = Scene::start(RETROHOOK, &(base.clone() + dropped));
    let file = scene.setup.config.clone();
    let without = file.replace(dropped, "");
    assert!(scene.reload(&without).contains("queue `worker` is gone"));
    sqs(&scene, "CreateQueue", &json!({ "QueueName": "worker" }));
    element(&sns(&scene, "CreateTopic", &[("Name", "orders")]), "TopicArn");
    element(&subscribe(&scene, "sqs", QUEUE, &RAW), "SubscriptionArn");
    put(&scene);
    receive(&scene, "worker", 1);
    put(&scene);
    scene.told(2);
    assert_eq!(sqs(&scene, "PurgeQueue", &json!({ "QueueUrl": "worker" })).0, 200);
    assert_eq!(sqs(&scene, "ReceiveMessage", &json!({ "QueueUrl": "worker" })).1, json!({}));
    let hook = Receiver::start();
    let to = [("TopicArn", ORDERS), ("Protocol", "http"), ("Endpoint", &hook.url("/orders"))];
    element(&sns(&scene, "Subscribe", &to), "SubscriptionArn");
    wait::until("the handshake of what was made again", || {
        let listed =
            element(&sns(&scene, "ListSubscriptionsByTopic", &[("TopicArn", ORDERS)]), "Subscriptions");
        listed.contains(&format!("<SubscriptionArn>{ORDERS}:")).then_some(())
    });

    assert_eq!(sns(&scene, "DeleteTopic", &[("TopicArn", ORDERS)]).status, 200);
    assert_eq!(sqs(&scene, "DeleteQueue", &json!({ "QueueUrl": "worker" })).0, 200);
    for words in ["the topic orders was deleted", "the queue worker was deleted"] {
        said(&scene, words);
    }
    scene.setup.config = without;
    for _ in 0..2 {
        assert_eq!(sqs(&scene, "ListQueues", &json!({})).1, json!({}));
        let topics = element(&sns(&scene, "ListTopics", &[]), "Topics");
        assert!(!topics.contains("orders"), "{topics}");
        scene.kill_and_restart();
    }
}

#[test]
fn another_form_of_a_subscription_that_its_receiver_ended_declares_nothing_anew() {
    let mut scene = scene();
    let (hook, arn) = confirmed(&scene, &[]);
    end_by_link(&scene, &arn);
    let raw = [
        ("SubscriptionArn", arn.as_str()),
        ("AttributeName", "RawMessageDelivery"),
        ("AttributeValue", "true"),
    ];
    assert_eq!(sns(&scene, "SetSubscriptionAttributes", &raw).status, 200);
    assert_eq!(rows(&scene, "subscription"), [row_of(&arn)]);
    // It is still ended, and whatever else is changed goes on.
    element(&sns(&scene, "CreateTopic", &[("Name", "orders")]), "TopicArn");
    put(&scene);
    scene.told(1);
    assert!(hook.messages().is_empty());
    scene.kill_and_restart();
    assert!(listed(&scene, "SubscriptionArn").contains(&arn));
    put(&scene);
    scene.told(2);
    assert!(hook.messages().is_empty());
    assert_eq!(sns(&scene, "Unsubscribe", &[("SubscriptionArn", &arn)]).status, 200);
    assert!(rows(&scene, "subscription").is_empty());
}

#[test]
fn who_subscribes_again_after_an_end_has_a_new_subscription_and_what_was_owed() {
    let mut scene = scene();
    let (hook, arn) = confirmed(&scene, &RAW);
    end_by_link(&scene, &arn);
    put(&scene);
    scene.told(1);
    let again = subscribe(&scene, "http", &hook.url("/hook"), &[AS_ARN]);
    let again = element(&again, "SubscriptionArn");
    assert_ne!(again, arn, "another one, with an ARN of its own");
    wait::until("the handshake", || listed(&scene, "SubscriptionArn").contains(&again).then_some(()));
    hook.wait_for(1);
    assert_eq!(rows(&scene, "subscription"), [row_of(&again)]);
    assert!(!listed(&scene, "SubscriptionArn").contains(&arn));
    // The old one names nobody.
    let old = sns(&scene, "GetSubscriptionAttributes", &[("SubscriptionArn", &arn)]);
    refused(&old, 404, "NotFound", "Subscription does not exist");
    scene.kill_and_restart();
    assert!(listed(&scene, "SubscriptionArn").contains(&again));
    put(&scene);
    wait::until("the second event", || (hook.messages().len() >= 2).then_some(()));

    // One of a file, too: its receiver is asked again.
    let own = listed(&scene, "SubscriptionArn").into_iter().find(|one| *one != again).expect("the file's");
    end_by_link(&scene, &own);
    let asked = scene.receiver.received().len();
    subscribe(&scene, "http", &scene.receiver.url("/hook"), &[]);
    wait::until("the file's own to be declared anew", || {
        let arns = listed(&scene, "SubscriptionArn");
        (!arns.contains(&own) && arns.len() == 2).then_some(())
    });
    put(&scene);
    wait::until("its deliveries", || (scene.receiver.received().len() > asked).then_some(()));
}

#[test]
fn who_subscribes_again_before_it_has_confirmed_is_asked_at_once() {
    let scene = scene();
    let hook = Receiver::start();
    hook.set_confirms(false);
    let arn = element(&subscribe(&scene, "http", &hook.url("/hook"), &[AS_ARN]), "SubscriptionArn");
    wait::until("a request to confirm", || (hook.received().len() == 1).then_some(()));
    hook.set_confirms(true);
    // Another spelling of the same.
    let spelt = hook.url("/x/../hook");
    let pending = element(&subscribe(&scene, "http", &spelt, &[]), "SubscriptionArn");
    assert_eq!(pending, "pending confirmation");
    wait::until("the handshake", || listed(&scene, "SubscriptionArn").contains(&arn).then_some(()));
    assert_eq!(hook.received().len(), 2);
    assert_eq!(rows(&scene, "subscription"), [row_of(&arn)], "the token, and with it the ARN, is the same");
}

#[test]
fn a_file_adopts_what_leads_to_the_same_endpoint_whatever_it_calls_it_and_however_it_spells_it() {
    let mut scene = scene();
    let (hook, arn) = confirmed(&scene, &[]);
    let spelt = hook.url("/x/../hook");
    let declared = format!(
        "{}  - {{ name: mine, protocol: http, endpoint: \"{spelt}\", raw_message_delivery: true }}\n",
        scene.setup.config
    );
    let printed = scene.reload(&declared);
    assert!(
        printed.contains("`mine of profile-changes`, which an API made, belongs to the file"),
        "{printed}"
    );
    assert!(listed(&scene, "SubscriptionArn").contains(&arn), "it is the same one");
    assert_eq!(listed(&scene, "SubscriptionArn").len(), 2);
    assert!(rows(&scene, "subscription").is_empty());
    refused(
        &sns(
            &scene,
            "SetSubscriptionAttributes",
            &[
                ("SubscriptionArn", arn.as_str()),
                ("AttributeName", "RawMessageDelivery"),
                ("AttributeValue", "false"),
            ],
        ),
        403,
        "AuthorizationError",
        "configuration file",
    );
    scene.setup.config = declared;
    scene.kill_and_restart();
    assert!(!scene.gateway().output().contains("by APIs"), "{}", scene.gateway().output());
    assert!(listed(&scene, "SubscriptionArn").contains(&arn));
    put(&scene);
    hook.wait_for(1);
    scene.told(1);
    assert_eq!(hook.messages().len(), 1, "one subscription, one message");
}

#[test]
fn what_is_too_large_is_refused_and_keeps_nothing_else_from_being_made() {
    let scene = scene();
    let large = "x".repeat(1_500_000);
    let policy = |value: &str| {
        let all =
            [("Name", "large"), ("Attributes.entry.1.key", "Policy"), ("Attributes.entry.1.value", value)];
        sns(&scene, "CreateTopic", &all)
    };
    refused(&policy(&large), 400, "InvalidParameter", "Policy has 1500000 characters; it may have 30720");
    refused(&policy(&large[..30_721]), 400, "InvalidParameter", "it may have 30720");
    let name = [
        ("Name", "large"),
        ("Attributes.entry.1.key", "DisplayName"),
        ("Attributes.entry.1.value", &large[..101]),
    ];
    refused(&sns(&scene, "CreateTopic", &name), 400, "InvalidParameter", "it may have 100");
    let tags: serde_json::Map<_, _> = (0..51).map(|at| (at.to_string(), json!("x"))).collect();
    let (status, answer) = sqs(&scene, "CreateQueue", &json!({ "QueueName": "large", "tags": tags }));
    assert_eq!(status, 400, "{answer}");
    assert!(answer["message"].as_str().is_some_and(|text| text.contains("there may be 50")), "{answer}");

    element(&sns(&scene, "CreateTopic", &[("Name", "orders")]), "TopicArn");
    assert_eq!(scene.admin().status().1["retrohook"]["degraded"], json!([]));
    assert_eq!(sqs(&scene, "ListQueues", &json!({})).1, json!({}));
}

/// A gateway in which the first change of an API ends unexpectedly behind its commit.
#[track_caller]
fn broken_off() -> Scene {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.env.push(("FAILPOINTS".into(), "declared=1*panic->off".into()));
    scene.start_gateway();
    assert_eq!(sns(&scene, "CreateTopic", &[("Name", "orders")]).status, 503);
    // The answer does not wait for the thread that broke off to be noticed.
    wait::until("the change to be said", || {
        let (status, answer) = scene.admin().status();
        assert_eq!(status, 200, "{answer}");
        let degraded = answer["retrohook"]["degraded"].to_string();
        (degraded.contains("broke off") && degraded.contains("the next change")).then_some(())
    });
    scene
}

#[track_caller]
fn has_orders(scene: &Scene) {
    assert_eq!(scene.admin().status().1["retrohook"]["degraded"], json!([]));
    let topics = element(&sns(scene, "ListTopics", &[]), "Topics");
    assert!(topics.contains(&format!("{ORDERS}</TopicArn>")), "{topics}");
    assert_eq!(rows(scene, "topic").len(), 1);
}

#[test]
fn a_change_that_broke_off_behind_the_store_is_served_by_the_next_change() {
    let scene = broken_off();
    sqs(&scene, "CreateQueue", &json!({ "QueueName": "worker" }));
    has_orders(&scene);
    element(&subscribe(&scene, "sqs", QUEUE, &RAW), "SubscriptionArn");
    put(&scene);
    receive(&scene, "worker", 1);
}

#[test]
fn a_change_that_broke_off_behind_the_store_is_served_by_the_next_reload() {
    let scene = broken_off();
    let file = scene.setup.config.clone();
    scene.reload(&file);
    has_orders(&scene);
    assert_eq!(sns(&scene, "DeleteTopic", &[("TopicArn", ORDERS)]).status, 200);
    assert!(rows(&scene, "topic").is_empty());
}

#[test]
fn a_topic_and_a_queue_end_with_their_subscriptions_in_one_line_each() {
    let scene = scene();
    element(&sns(&scene, "CreateTopic", &[("Name", "orders")]), "TopicArn");
    sqs(&scene, "CreateQueue", &json!({ "QueueName": "worker" }));
    for port in 1..=3 {
        let to =
            [("TopicArn", ORDERS), ("Protocol", "http"), ("Endpoint", &format!("http://127.0.0.1:{port}/"))];
        element(&sns(&scene, "Subscribe", &to), "SubscriptionArn");
    }
    for topic in [ORDERS, TOPIC] {
        let to = [("TopicArn", topic), ("Protocol", "sqs"), ("Endpoint", QUEUE)];
        element(&sns(&scene, "Subscribe", &to), "SubscriptionArn");
    }
    assert_eq!(sqs(&scene, "DeleteQueue", &json!({ "QueueUrl": "worker" })).0, 200);
    assert_eq!(sns(&scene, "DeleteTopic", &[("TopicArn", ORDERS)]).status, 200);
    for words in [
        "the queue worker was deleted with its 2 subscriptions",
        "the topic orders was deleted with its 3 subscriptions",
    ] {
        said(&scene, words);
    }
    let output = scene.gateway().output();
    assert!(!output.contains("was ended"), "{output}");
    assert!(rows(&scene, "subscription").is_empty());
    assert_eq!(listed(&scene, "Endpoint"), [scene.receiver.url("/hook")]);
}

#[test]
fn who_ends_a_subscription_names_its_topic() {
    let scene = scene();
    let (_hook, arn) = confirmed(&scene, &[]);
    let other = arn.replace("profile-changes", "orders");
    assert_eq!(sns(&scene, "Unsubscribe", &[("SubscriptionArn", &other)]).status, 200);
    assert!(listed(&scene, "SubscriptionArn").contains(&arn), "that of another topic is another one");
}

/// That it waits for no endpoint meanwhile is a test of the deliveries, which has a clock that stands still.
#[test]
fn what_ends_is_dropped_while_its_endpoint_hangs() {
    let scene = scene();
    let (hook, arn) = confirmed(&scene, &RAW);
    hook.set(Mood::Slow(20_000));
    put(&scene);
    wait::until("a delivery under way", || (hook.messages().len() == 1).then_some(()));
    assert_eq!(sns(&scene, "Unsubscribe", &[("SubscriptionArn", &arn)]).status, 200);
    said(&scene, "was ended; dropped: ");
    let dropped = scene.admin().metric(r#"retrohook_dropped_deliveries_total{reason="owner"}"#);
    assert!(dropped.is_some_and(|count| count > 0.0), "{dropped:?}");
}

/// A service with a route of an API's, put into the store of a gateway that does not run: nothing here makes them yet.
fn put_service_and_route(scene: &Scene) {
    let options = config::Options {
        kinds: &[],
        region: "us-east-1",
        account: "000000000000",
        hubs: &[],
        env: &|_| None,
        now: event::Timestamp::from_millis(1_700_000_000_000),
        tolerance: config::Tolerance::default(),
    };
    let text = "_format_version: \"3.0\"\nservices: [{ name: mockbin, url: 'http://127.0.0.1:1', routes: [{ name: mine, paths: [/mine] }] }]\n";
    let set = config::check(&[("f.yaml", text)], &options).expect("a good configuration").set;
    let (id, origin) = (uuid::Uuid::from_u128(7), entities::Origin::Api);
    let service = entities::Service { id, origin, ..(*set.services[0]).clone() };
    let route = entities::Route {
        id: uuid::Uuid::from_u128(8),
        origin,
        service: Some(id),
        ..(*set.routes[0]).clone()
    };
    let stored = testkit::process::database(&scene.setup.data_dir());
    let database = rusqlite::Connection::open(stored).expect("the database opens");
    for entity in [entities::Entity::Service(service.into()), entities::Entity::Route(route.into())] {
        let row = control::rows::row(&entity);
        let sql = "INSERT INTO registry (kind, id, origin, body) VALUES (?1, ?2, 'api', ?3)";
        let values = (&row.kind, row.id.as_bytes(), &row.body);
        database.execute(sql, values).expect("a row");
    }
}

#[test]
fn what_an_api_built_on_something_that_a_file_adopted_stays_through_every_reload_and_start() {
    let mut scene = scene();
    drop(scene.take_gateway());
    put_service_and_route(&scene);
    scene.start_gateway();
    let output = scene.gateway().output();
    assert!(
        output.contains("service `mockbin`, which an API made, belongs to the file from now on"),
        "{output}"
    );
    let is_served = |scene: &Scene| {
        assert_eq!(scene.send("GET", "/mine/profile").expect("an answer").status, 200);
    };
    is_served(&scene);
    assert_eq!((rows(&scene, "service").len(), rows(&scene, "route").len()), (0, 1));
    let file = scene.setup.config.clone();
    for more in ["# the same\n", "queues: [{ name: worker }]\n", ""] {
        let printed = scene.reload(&(file.clone() + more));
        assert!(!printed.contains("not reloaded"), "{printed}");
        is_served(&scene);
    }
    for _ in 0..2 {
        scene.kill_and_restart();
        is_served(&scene);
        assert!(scene.reload(&file).contains("nothing changed"));
    }
}
