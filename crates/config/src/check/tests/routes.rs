//! Routes that are refused.

use super::check;

#[test]
fn nothing_to_match_by() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  routes:
  - name: r
  - { name: s, paths: [], hosts: null }
"#],
        r#"
gateway.yaml:6:5: services[0].routes[0]: must set one of 'methods', 'hosts', 'paths'
  hint: `paths: [/]` matches every request
gateway.yaml:7:5: services[0].routes[1]: must set one of 'methods', 'hosts', 'paths'
  hint: `paths: [/]` matches every request
2 problems
"#,
    );
}

#[test]
fn paths() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  routes:
  - name: r
    paths: [profiles, //a, /a//b, "/a/../b", "/%70rofiles", "/profiles/\\d+$", "/a b", "/a?b", "~/(", "~/(?=a)", "~/(a)\\1", "~^/a", /good, "~/good/\\d+$"]
"#],
        r#"
gateway.yaml:7:13: services[0].routes[0].paths[0]: should start with: / (fixed path) or ~/ (regex path)
  hint: put a slash in front
gateway.yaml:7:23: services[0].routes[0].paths[1]: must not have empty segments
  hint: requests have their double slashes merged: write one
gateway.yaml:7:28: services[0].routes[0].paths[2]: must not have empty segments
  hint: requests have their double slashes merged: write one
gateway.yaml:7:35: services[0].routes[0].paths[3]: non-normalized path, consider use '/b' instead
  hint: requests are normalised before they are matched: this path never would be
gateway.yaml:7:46: services[0].routes[0].paths[4]: non-normalized path, consider use '/profiles' instead
  hint: requests are normalised before they are matched: this path never would be
gateway.yaml:7:61: services[0].routes[0].paths[5]: '\\' is not allowed in a fixed path
  hint: if it is a regular expression, put a ~ in front
gateway.yaml:7:80: services[0].routes[0].paths[6]: ' ' is not allowed in a fixed path
  hint: write it percent-encoded, as %xx
gateway.yaml:7:88: services[0].routes[0].paths[7]: '?' is not allowed in a fixed path
  hint: a path ends before the query
gateway.yaml:7:96: services[0].routes[0].paths[8]: invalid regex: '/(' (unclosed group)
  hint: the engine is Rust's `regex` crate, not PCRE: linear time, no look-around, no back-references
gateway.yaml:7:103: services[0].routes[0].paths[9]: invalid regex: '/(?=a)' (look-around, including look-ahead and look-behind, is not supported)
  hint: the engine is Rust's `regex` crate, not PCRE: linear time, no look-around, no back-references
gateway.yaml:7:114: services[0].routes[0].paths[10]: invalid regex: '/(a)\1' (backreferences are not supported)
  hint: the engine is Rust's `regex` crate, not PCRE: linear time, no look-around, no back-references
gateway.yaml:7:126: services[0].routes[0].paths[11]: should start with: / (fixed path) or ~/ (regex path)
  hint: a regex path is matched from the begin of the request's path, which is a slash
12 problems
"#,
    );
}

#[test]
fn methods_and_hosts() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  routes:
  - methods: [get, "P-T", PUT]
    hosts: ["*", "a.*.b", "*.a.*", "http://x", "x:0", "x:80", "*.x.y", "x.*"]
"#],
        r#"
gateway.yaml:6:15: services[0].routes[0].methods[0]: invalid method
  hint: methods are upper case
gateway.yaml:6:20: services[0].routes[0].methods[1]: invalid method
  hint: a method is made of the letters A to Z
gateway.yaml:7:13: services[0].routes[0].hosts[0]: invalid hostname
  hint: one wildcard, as the first or last label: *.example.com or example.*
gateway.yaml:7:18: services[0].routes[0].hosts[1]: invalid hostname
  hint: one wildcard, as the first or last label: *.example.com or example.*
gateway.yaml:7:27: services[0].routes[0].hosts[2]: invalid hostname
  hint: one wildcard, as the first or last label: *.example.com or example.*
gateway.yaml:7:48: services[0].routes[0].hosts[4]: invalid hostname
  hint: the port is a number from 1 to 65535
6 problems
"#,
    );
}

#[test]
fn what_is_not_served_yet() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  routes:
  - name: r
    paths: [/]
    headers: { x: [y] }
    snis: [x]
    sources: [{ ip: 10.0.0.1 }]
    destinations: [{ port: 1 }]
    https_redirect_status_code: 303
    expression: 'http.path == "/"'
    path_handling: v2
    protocols: [grpc]
  - name: s
    paths: [/]
    protocols: []
"#],
        r#"
gateway.yaml:8:14: services[0].routes[0].headers: not supported yet
  hint: match by `hosts`, `paths` or `methods`
gateway.yaml:9:11: services[0].routes[0].snis: not supported yet
  hint: match by `hosts`, `paths` or `methods`
gateway.yaml:10:14: services[0].routes[0].sources: not supported yet
  hint: routes carry http only: match by `hosts`, `paths` or `methods`
gateway.yaml:11:19: services[0].routes[0].destinations: not supported yet
  hint: routes carry http only: match by `hosts`, `paths` or `methods`
gateway.yaml:12:33: services[0].routes[0].https_redirect_status_code: unknown value, found the number 303
  hint: expected one of: 426, 301, 302, 307, 308
gateway.yaml:13:17: services[0].routes[0].expression: not supported yet
  hint: the router is Kong's traditional one: match by `hosts`, `paths` or `methods`
gateway.yaml:14:20: services[0].routes[0].path_handling: unknown value `v2`
  hint: did you mean `v0`?
gateway.yaml:15:17: services[0].routes[0].protocols[0]: `grpc` is not supported yet
  hint: expected one of: http, https
gateway.yaml:18:16: services[0].routes[1].protocols: length must be at least 1
  hint: name `http`, `https` or both, or remove the key
9 problems
"#,
    );
}

#[test]
fn references() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://x
  routes:
  - { name: a, paths: [/], service: profiles }
routes:
- { name: b, paths: [/] }
- { name: c, paths: [/], service: profile }
- { name: d, paths: [/], service: { name: orders } }
- { name: e, paths: [/], service: 7 }
- { name: f, paths: [/], service: { nam: x } }
"#],
        r#"
gateway.yaml:6:37: services[0].routes[0].service: value must be null
  hint: it is under its service already: remove the key
gateway.yaml:9:35: routes[1].service: invalid reference 'service: profile' (no such entry in 'services')
  hint: did you mean `profiles`?
gateway.yaml:10:35: routes[2].service: invalid reference 'service: orders' (no such entry in 'services')
  hint: services that exist: `profiles`
gateway.yaml:11:35: routes[3].service: expected a string or a mapping, found the number 7
  hint: put it in quotes: "7"
gateway.yaml:12:37: routes[4].service.nam: unknown field `nam`
  hint: did you mean `name`?
5 problems
"#,
    );
}
