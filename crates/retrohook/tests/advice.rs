//! What a newcomer meets first: a full disk, a file where a directory should be, a port that is not theirs, a number that is none. Each refusal
//! says what is wrong, with what, and what to do.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use testkit::scene::{Profiles, Scene};
use testkit::tools;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// Runs a command that ends by itself; whether it said that all is well, and all that it printed.
#[track_caller]
fn ends(words: &[&str]) -> (bool, String) {
    let output = Command::new(words[0]).args(&words[1..]).output().expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("text"))
}

/// Takes from whoever runs the tests, root perhaps, the right to pass over permissions and to take any port.
fn without(rights: &str) -> [String; 3] {
    let setpriv = tools::find("SETPRIV", "setpriv").to_string_lossy().into_owned();
    [setpriv, format!("--bounding-set={rights}"), format!("--inh-caps={rights}")]
}

#[track_caller]
fn says(printed: &str, parts: &[&str]) {
    for part in parts {
        assert!(printed.contains(part), "no `{part}` in:\n{printed}");
    }
}

#[test]
fn a_start_on_a_full_disk_says_where_how_much_is_free_and_what_to_do() {
    let scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let data = scene.setup.data_dir();
    std::fs::create_dir_all(&data).expect("a temporary directory");
    std::fs::write(scene.setup.config_file(), &scene.setup.config).expect("a file");
    let unshare = tools::find("UNSHARE", "unshare").to_string_lossy().into_owned();
    let (data, config) = (data.display().to_string(), scene.setup.config_file().display().to_string());
    // From where not even the directory can be made to where the configuration does not find room.
    for (size, below) in [("4k", "store/a"), ("64k", "store"), ("256k", "store"), ("400k", "store")] {
        let mount = format!("mount -t tmpfs -o size={size} tmpfs '{data}' && exec \"$0\" \"$@\"");
        let dir = format!("--data-dir={data}/{below}");
        let (well, printed) = ends(&[
            &unshare,
            "-Urm",
            "sh",
            "-c",
            &mount,
            RETROHOOK,
            "run",
            "-c",
            &config,
            &dir,
            "--allow-private-endpoints",
            "--proxy-listen=127.0.0.1:0",
            "--admin-listen=off",
            "--legacy-admin-listen=off",
            "--hub-listen=off",
        ]);
        assert!(!well, "{printed}");
        says(
            &printed,
            &[
                &format!("did not start: the disk of {data}/{below} has "),
                " free",
                "a start needs 2",
                " MiB",
                "256 MiB more have to be free (--min-free)",
                "Make room on that disk",
                "name it with --data-dir",
            ],
        );
        assert!(!printed.contains("let this user write"), "{printed}");
    }
}

#[test]
fn a_file_where_the_data_directory_should_be_is_named() {
    let scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let file = scene.setup.data.path().join("a-file");
    std::fs::write(&file, "").expect("a file");
    let run = |dir: &str| {
        ends(&[
            RETROHOOK,
            "run",
            "--data-dir",
            dir,
            "--proxy-listen=127.0.0.1:0",
            "--admin-listen=off",
            "--legacy-admin-listen=off",
            "--hub-listen=off",
        ])
    };
    let shown = file.display().to_string();
    let (well, printed) = run(&shown);
    assert!(!well);
    says(&printed, &[&format!("the data directory {shown}: it is a file"), "choose another with --data-dir"]);
    let (well, printed) = run(&format!("{shown}/deeper/data"));
    assert!(!well);
    says(&printed, &[&format!("{shown} is a file, and cannot have a directory in it")]);
}

#[test]
fn a_port_below_1024_names_the_right_that_is_missing_and_a_taken_port_does_not() {
    let unshare = tools::find("UNSHARE", "unshare").to_string_lossy().into_owned();
    let [setpriv, bounding, inherited] = without("-net_bind_service");
    let scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let data = format!("--data-dir={}", scene.setup.data_dir().display());
    // A network of its own, where ports below 1024 are not free for all.
    let (well, printed) = ends(&[
        &unshare,
        "-Urn",
        &setpriv,
        &bounding,
        &inherited,
        RETROHOOK,
        "run",
        "--proxy-listen=0.0.0.0:80",
        &data,
    ]);
    assert!(!well);
    says(
        &printed,
        &[
            "cannot listen on 0.0.0.0:80 (--proxy-listen): this user may not use ports below 1024",
            "setcap cap_net_bind_service=+ep /",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
            "net.ipv4.ip_unprivileged_port_start=80",
        ],
    );
    assert!(!printed.contains("what listens there"), "{printed}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (well, printed) = ends(&[RETROHOOK, "run", "--proxy-listen", &address, &data]);
    assert!(!well);
    says(
        &printed,
        &[&format!("cannot listen on {address} (--proxy-listen): stop what listens there, or change")],
    );
    let (well, printed) = ends(&[RETROHOOK, "run", "--proxy-listen=192.0.2.1:8000", &data]);
    assert!(!well);
    says(&printed, &["this machine has no such address", "0.0.0.0"]);
}

#[test]
fn a_check_that_may_not_look_says_so_and_not_that_there_is_nothing() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    scene.take_gateway().terminate();
    let dir = scene.setup.data_dir();
    let shown = dir.display().to_string();
    let [setpriv, bounding, inherited] = without("-dac_override,-dac_read_search");
    let check = || ends(&[&setpriv, &bounding, &inherited, RETROHOOK, "check", "--data", &shown]);
    assert!(check().0);
    let database = dir.join("retrohook.db");
    for closed in [&database, &dir] {
        let before = std::fs::metadata(closed).expect("it is there").permissions();
        std::fs::set_permissions(closed, Permissions::from_mode(0o000)).expect("it is ours");
        let (well, printed) = check();
        std::fs::set_permissions(closed, before).expect("it is ours");
        assert!(!well, "{printed}");
        says(&printed, &[&format!(") may not read {shown}"), "sudo -u USER retrohook check --data"]);
        assert!(!printed.contains("there is no store"), "{printed}");
    }
}

#[test]
fn values_of_settings_are_refused_in_words_of_ours() {
    for (flag, value, parts) in [
        ("--workers", "many", &["from 1 to 1024", "one thread a core"][..]),
        ("--workers", "0", &["from 1 to 1024"]),
        ("--workers", "99999", &["from 1 to 1024"]),
        ("--trusted-ips", "proxy", &["10.0.0.0/8"]),
        ("--trusted-ips", "10.0.0.0/33", &["0 to 32"]),
        ("--trusted-ips", "10.1.0.0/8", &["the network's first address"]),
        ("--allow-endpoints", "10.0.0.0/33", &["0 to 32"]),
        ("--allow-endpoints", "10.1.0.0/8", &["the network's first address"]),
        ("--allow-endpoints", "a b", &["hooks.internal"]),
        ("--account-id", "me", &["twelve digits"]),
        ("--region", "us east", &["letters, digits and hyphens"]),
        ("--drain-timeout", "soon", &["`30s`"]),
        ("--min-free", "many", &["`256MiB`"]),
        ("--proxy-listen", "80", &["127.0.0.1:8000"]),
        ("--hub-url", "hub", &["https://hooks.example.com"]),
        ("--log-format", "xml", &["text, json"]),
    ] {
        let (well, printed) = ends(&[RETROHOOK, "run", &format!("{flag}={value}")]);
        assert!(!well, "{flag}={value}");
        says(&printed, parts);
        says(&printed, &[flag]);
        for raw in ["invalid digit", "os error", "is not in 1..", "ParseIntError"] {
            assert!(!printed.contains(raw), "{printed}");
        }
    }
}

#[test]
fn an_endpoint_that_needs_an_option_is_warned_of_until_it_is_given() {
    let scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let file = scene.setup.config_file().display().to_string();
    std::fs::write(&file, &scene.setup.config).expect("a file");
    let (well, printed) = ends(&[RETROHOOK, "check", &file]);
    assert!(well, "{printed}");
    says(
        &printed,
        &[
            "warning: ",
            "retrohook.yaml:16:33: ",
            "nothing is delivered to http://127.0.0.1:",
            "its address is a loopback one",
            "hint: start with --allow-endpoints CIDR",
        ],
    );
    for option in ["--allow-private-endpoints", "--allow-endpoints=127.0.0.0/8"] {
        let (well, printed) = ends(&[RETROHOOK, "check", option, &file]);
        assert!(well && !printed.contains("warning"), "{printed}");
    }
    let mut setup = scene.setup.again();
    setup.flags.retain(|flag| flag != "--allow-private-endpoints");
    says(&setup.start().output(), &["warning: ", "nothing is delivered to http://127.0.0.1:"]);
    assert!(!scene.setup.start().output().contains("nothing is delivered"));
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let dir = scene.setup.data.path();
    let [setpriv, bounding, inherited] = without("-dac_override,-dac_read_search");
    let check = |path: &std::path::Path| {
        ends(&[&setpriv, &bounding, &inherited, RETROHOOK, "check", &path.display().to_string()])
    };
    let (closed, latin) = (dir.join("closed.yaml"), dir.join("latin.yaml"));
    std::fs::write(&closed, "").expect("a file");
    std::fs::set_permissions(&closed, Permissions::from_mode(0o000)).expect("it is ours");
    std::fs::write(&latin, b"name: M\xfcller\n").expect("a file");
    for (path, parts) in [
        (dir.join("none.yaml"), &["there is no such file", "hint: look at the path"][..]),
        (dir.to_owned(), &["it is a directory", "hint: name each file in it"]),
        (closed, &["this user may not read it", "hint: let the user"]),
        (latin, &["it is not a text in UTF-8", "hint: save it as UTF-8"]),
    ] {
        let (well, printed) = check(&path);
        assert!(!well, "{}", path.display());
        says(&printed, parts);
        assert!(!printed.contains("os error"), "{printed}");
    }
}
