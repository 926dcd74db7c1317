//! retrohook
fn main() {}
