#[test]
fn dump() {
    for entry in std::fs::read_dir("/tmp/cases").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let parts: Vec<&str> = text.split("=====\n").collect();
            let out = match super::run(&parts) {
                Ok(_) => "ok".to_owned(),
                Err(r) => r.to_string(),
            };
            std::fs::write(path.with_extension("out"), out).unwrap();
        }
    }
}
