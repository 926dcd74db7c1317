//! What is left of an api when a file takes or drops a part of it: it is seen, changed and ended like any other, and nothing of it stays.

use serde_json::{Value, json};
use testkit::scene::Scene;

use super::serving::{proxied, rows};
use super::{api, get, make, make_topic, rule, scene, send};

/// Starts anew with another file.
fn restart(scene: &mut Scene, file: String) {
    scene.setup.config = file;
    scene.setup.without_files = false;
    scene.kill_and_restart();
}

const NOTHING: &str = "_format_version: \"3.0\"\n";

#[test]
fn a_service_that_a_file_dropped_is_an_api_and_ends_with_its_plug_ins() {
    let mut scene = scene();
    make_topic(&scene, "t");
    let address = scene.upstream.address();
    let file = format!(
        "{NOTHING}services:\n- {{ name: s, url: \"http://{address}\", routes: [{{ name: r, paths: [/s] }}] }}\n"
    );
    restart(&mut scene, file);
    make(&scene, "/apis/s/plugins", &rule("t", "."));
    // Its plug-in keeps the service, and nothing keeps the route.
    restart(&mut scene, NOTHING.into());
    let output = scene.gateway().output();
    assert!(
        output.contains("service `s` is not declared any more, and stays as if an API had made it"),
        "{output}"
    );
    let page = get(&scene, "/apis");
    let left = page["data"][0].clone();
    assert_eq!((&page["total"], &left["name"], left.get("uris")), (&1.into(), &"s".into(), None), "{page}");
    assert_eq!(get(&scene, "/apis/s"), left);
    let message = "at least one of 'hosts', 'uris' or 'methods' must be specified";
    assert_eq!(
        send(&scene, "PATCH", "/apis/s", &json!({ "retries": 1 })),
        (400, json!({ "message": message }))
    );
    // It can be given a route, and its rule runs on it.
    let (status, changed) = send(&scene, "PATCH", "/apis/s", &json!({ "uris": ["/again"] }));
    assert_eq!((status, &changed["uris"], &changed["id"]), (200, &json!(["/again"]), &left["id"]));
    assert_eq!(proxied(&scene, "PUT", "/again/x", "x"), 200);
    scene.admin().wait_for_events(1);
    assert_eq!(send(&scene, "DELETE", "/apis/s", &Value::Null), (204, Value::Null));
    for _ in 0..2 {
        assert_eq!(
            (&get(&scene, "/apis")["total"], &get(&scene, "/plugins")["total"]),
            (&0.into(), &0.into())
        );
        assert_eq!(rows(&scene), 1, "the topic is all that is left");
        scene.kill_and_restart();
    }
}

#[test]
fn an_api_whose_route_is_a_files_now_is_seen_and_ends() {
    let mut scene = scene();
    let made = make(&scene, "/apis", &api(&scene, "a", "/a"));
    restart(&mut scene, format!("{NOTHING}routes: [{{ name: a, paths: [/file] }}]\n"));
    scene.gateway().wait_until_it_says("route `a`, which an API made, belongs to the file from now on");
    let left = get(&scene, "/apis/a");
    assert_eq!((&left["id"], left.get("uris")), (&made["id"], None), "{left}");
    assert_eq!(get(&scene, "/apis")["data"], json!([left]));
    // The route of this api is the file's.
    let (status, answer) = send(&scene, "PATCH", "/apis/a", &json!({ "uris": ["/b"] }));
    assert_eq!(status, 405, "{answer}");
    assert!(
        answer["message"].as_str().is_some_and(|text| text.contains("route 'a' is declared")),
        "{answer}"
    );
    assert_eq!(send(&scene, "DELETE", "/apis/a", &Value::Null), (204, Value::Null));
    assert_eq!((&get(&scene, "/apis")["total"], rows(&scene)), (&0.into(), 0));
}

#[test]
fn a_route_of_an_api_on_a_files_service_is_in_the_list_until_it_is_ended() {
    let mut scene = scene();
    make(&scene, "/apis", &api(&scene, "a", "/a"));
    let address = scene.upstream.address();
    let file = format!(
        "{NOTHING}services:\n- {{ name: a, url: \"http://{address}\", routes: [{{ name: b, paths: [/b] }}] }}\n"
    );
    restart(&mut scene, file);
    let of_api = get(&scene, "/apis");
    assert_eq!((&of_api["total"], &of_api["data"][0]["uris"]), (&1.into(), &json!(["/a"])));
    assert_eq!(get(&scene, "/apis?origin=file")["data"][0]["uris"], json!(["/b"]));
    let first = get(&scene, "/apis?origin=all&size=1");
    let next = first["next"].as_str().expect("a second page").strip_prefix("http://localhost:8011");
    let second = get(&scene, next.expect("our host"));
    assert_ne!(second["data"][0]["uris"], first["data"][0]["uris"]);
    assert_eq!(send(&scene, "DELETE", "/apis/a", &Value::Null).0, 204);
    assert_eq!(get(&scene, "/apis")["total"], 0);
    assert_eq!((proxied(&scene, "GET", "/a", "x"), proxied(&scene, "GET", "/b", "x")), (404, 200));
}
