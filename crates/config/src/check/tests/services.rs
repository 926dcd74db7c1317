//! Services that are refused.

use super::check;

#[test]
fn upstreams_that_are_not_reached() {
    check(
        &[r#"
_format_version: "3.0"
services:
- { name: a, url: grpcs://x }
- { name: b, protocol: grpc, host: x }
- { name: c, url: ftp://x }
- { name: d, protocol: ftp, host: x }
- { name: e, host: x, client_certificate: { id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001 } }
"#],
        r#"
gateway.yaml:3:19: services[0].url: `grpcs` is not supported yet
  hint: services are reached over http and https
gateway.yaml:4:24: services[1].protocol: `grpc` is not supported yet
  hint: services are reached over http and https
gateway.yaml:5:19: services[2].url: a service is reached over http or https
  hint: write it like http://localhost:9000/path
gateway.yaml:6:24: services[3].protocol: unknown value
  hint: expected one of: http, https
gateway.yaml:7:43: services[4].client_certificate: not supported yet
  hint: the gateway shows services no certificate of its own: remove the key
5 problems
"#,
    );
}

#[test]
fn addresses() {
    check(
        &[r#"
_format_version: "3.0"
services:
- { name: a }
- { name: b, url: localhost }
- { name: c, url: "http:///x" }
- { name: d, url: "http://u:p@x/" }
- { name: e, url: "http://x/?a" }
- { name: f, url: "http://x//y" }
- { name: g, url: "http://x:99999" }
- { name: h, url: "http://x", host: x, path: /p }
- { name: i, host: "http://x" }
- { name: j, host: x, path: p }
- { name: k, host: x, path: "/a b" }
"#],
        r#"
warning: gateway.yaml:10:46: services[7].path: `path` has no effect: `url` says something else
  hint: as in Kong, the `url` wins: keep one of the two
gateway.yaml:3:3: services[0]: required field missing: `host`
  hint: add `url: http://host:port`, or `host` and `port`
gateway.yaml:4:19: services[1].url: not a URL: it does not begin with http://
  hint: write it like http://localhost:9000/path
gateway.yaml:5:19: services[2].url: missing host in url
  hint: write it like http://localhost:9000/path
gateway.yaml:6:19: services[3].url: a user or password in the url is not supported
  hint: remove it
gateway.yaml:7:19: services[4].url: a url of a service has no `?` and no `#`
  hint: end it with the path
gateway.yaml:8:19: services[5].url: must not have empty segments
  hint: write one slash instead of two
gateway.yaml:9:19: services[6].url: not a URL: invalid port number
  hint: write it like http://localhost:9000/path
gateway.yaml:11:20: services[8].host: invalid hostname
  hint: a host is a name or an IP address, without port and path
gateway.yaml:12:29: services[9].path: should start with: /
  hint: put a slash in front
gateway.yaml:13:29: services[10].path: ' ' is not allowed in a path
  hint: write it percent-encoded, as %xx
10 problems
"#,
    );
}

#[test]
fn names_tags_and_ids() {
    check(
        &[r#"
_format_version: "3.0"
services:
- { name: "a b", host: x, tags: ["a,b"], id: 7b }
"#],
        r#"
gateway.yaml:3:11: services[0].name: invalid value
  hint: the only accepted characters are letters, digits and . - _ ~
gateway.yaml:3:34: services[0].tags[0]: invalid tag
  hint: a tag is a printable text without `,` and `/`
gateway.yaml:3:46: services[0].id: expected a valid UUID
  hint: write it like `id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001`, or leave it out: it is then derived from the name
3 problems
"#,
    );
}

#[test]
fn names_that_stand_twice() {
    check(
        &[r#"
_format_version: "3.0"
services:
- { name: a, host: x, id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001 }
- { name: a, host: x, id: 6A7C4D38-7D0E-4F4F-9B58-0F0F2A7A0001, routes: [{ name: r, paths: [/] }] }
routes:
- { name: r, paths: [/], service: a }
topics: [{ name: t }, { name: t }]
queues: [{ name: q }, { name: q }]
"#],
        r#"
gateway.yaml:4:11: services[1].name: uniqueness violation: 'services' entity with name set to 'a' already declared
  hint: the first one is at gateway.yaml:3:11: rename or remove one
gateway.yaml:4:27: services[1].id: uniqueness violation: 'services' entity with primary key set to '6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001' already declared
  hint: the first one is at gateway.yaml:3:27: rename or remove one
gateway.yaml:6:11: routes[0].name: uniqueness violation: 'routes' entity with name set to 'r' already declared
  hint: the first one is at gateway.yaml:4:82: rename or remove one
gateway.yaml:7:31: topics[1].name: uniqueness violation: 'topics' entity with name set to 't' already declared
  hint: the first one is at gateway.yaml:7:18: rename or remove one
gateway.yaml:8:31: queues[1].name: uniqueness violation: 'queues' entity with name set to 'q' already declared
  hint: the first one is at gateway.yaml:8:18: rename or remove one
5 problems
"#,
    );
}
