//! Lists: pages, filters, and where the next page is.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::scene::Scene;

use super::{api, get, make, scene, send};

fn names(page: &Value) -> Vec<&str> {
    page["data"].as_array().expect("a list").iter().map(|one| one["name"].as_str().expect("a name")).collect()
}

/// Follows `next` as kongfig does, as it is.
#[track_caller]
fn follow(scene: &Scene, first: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut target = first.to_owned();
    loop {
        let page = get(scene, &target);
        pages.push(names(&page).into_iter().map(str::to_owned).collect());
        let Some(next) = page.get("next") else { return pages };
        let next = next.as_str().expect("a text").strip_prefix("http://localhost:8011").expect("our host");
        target = next.to_owned();
    }
}

#[test]
fn a_list_is_paged_and_next_is_an_absolute_address() {
    let scene = scene();
    for index in 0..7 {
        make(&scene, "/apis", &api(&scene, &format!("api-{index}"), &format!("/{index}")));
    }
    let all = get(&scene, "/apis");
    assert_eq!(all["total"], 7);
    assert_eq!(names(&all), (0..7).map(|index| format!("api-{index}")).collect::<Vec<_>>());
    assert!(all.get("next").is_none() && all.get("offset").is_none(), "{all}");
    for (first, sizes) in [("/apis?size=3", &[3, 3, 1][..]), ("/apis/?size=7", &[7])] {
        let pages = follow(&scene, first);
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        let all: BTreeSet<&String> = pages.iter().flatten().collect();
        assert_eq!(all.len(), 7, "each once");
    }
    // A page goes on where the last one ended, also when that row is gone.
    let page = get(&scene, "/apis?size=3");
    assert_eq!(send(&scene, "DELETE", "/apis/api-2", &Value::Null).0, 204);
    let next =
        page["next"].as_str().expect("a text").strip_prefix("http://localhost:8011").expect("our host");
    assert_eq!(names(&get(&scene, next)), ["api-3", "api-4", "api-5"]);
}

#[test]
fn any_field_is_a_filter() {
    let scene = scene();
    let made = make(&scene, "/apis", &json!({ "name": "a", "upstream_url": "http://a:81", "uris": "/a,/b" }));
    make(
        &scene,
        "/apis",
        &json!({ "name": "b", "upstream_url": "http://b", "hosts": ["b.example.com"], "retries": 2 }),
    );
    make(
        &scene,
        "/apis",
        &json!({ "name": "c", "upstream_url": "http://c", "request_path": "/c", "strip_request_path": false }),
    );
    let id = made["id"].as_str().expect("an id");
    for (filter, expected) in [
        ("name=a".to_owned(), &["a"][..]),
        ("upstream_url=http%3A%2F%2Fb".to_owned(), &["b"]),
        ("uris=/a,/b".to_owned(), &["a"]),
        ("retries=2&hosts=b.example.com".to_owned(), &["b"]),
        (format!("id={id}"), &["a"]),
        ("strip_uri=true".to_owned(), &["a", "b"]),
        ("name=a&retries=2".to_owned(), &[]),
        // However it is written, it is what is shown.
        ("upstream_url=HTTP%3A%2F%2FA%3A81".to_owned(), &["a"]),
        ("upstream_url=http%3A%2F%2Fb%3A80".to_owned(), &["b"]),
        (format!("id={}", id.to_uppercase()), &["a"]),
        ("uris=/b/,%20/a".to_owned(), &["a"]),
        ("uris=/a".to_owned(), &[]),
        ("hosts=B.example.com".to_owned(), &["b"]),
        ("retries=2.0".to_owned(), &["b"]),
        ("strip_uri=True".to_owned(), &["a", "b"]),
        ("created_at=1".to_owned(), &[]),
        // In the names of 0.8, too.
        ("request_host=b.example.com".to_owned(), &["b"]),
        ("request_path=/c/".to_owned(), &["c"]),
        ("strip_request_path=false".to_owned(), &["c"]),
    ] {
        let page = get(&scene, &format!("/apis?{filter}"));
        assert_eq!(
            (names(&page), page["total"].as_u64()),
            (expected.to_vec(), Some(expected.len() as u64)),
            "{filter}"
        );
    }
    for (query, expected) in [
        ("color=red", json!({ "color": "unknown field" })),
        ("retries=many", json!({ "retries": "retries is not a number" })),
        ("name=a&name=b", json!({ "name": "name is not a string" })),
        ("size=x", json!({ "size": "size must be an integer between 1 and 1000" })),
        ("size=0", json!({ "size": "size must be an integer between 1 and 1000" })),
        ("offset=x", json!({ "offset": "offset is not one that this list gave" })),
    ] {
        assert_eq!(send(&scene, "GET", &format!("/apis?{query}"), &Value::Null), (400, expected), "{query}");
    }
    // A slash at the end means nothing.
    assert_eq!(get(&scene, "/apis/a/")["id"], id);
    assert_eq!(get(&scene, &format!("/apis/{id}"))["name"], "a");
}
