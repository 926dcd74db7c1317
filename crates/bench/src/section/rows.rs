//! What a build is asked when only Retrohook is measured: every kind of request that has a price of its own.

use crate::load::Template;
use crate::peer::{Form, Rule};

/// One kind of request, and who hears of it.
pub struct Row {
    /// The section that it belongs to.
    pub section: &'static str,
    /// For the table.
    pub name: &'static str,
    /// The rule of Retrohook.
    pub rule: Rule,
    /// Endpoints that hear of each event.
    pub subscribers: usize,
    /// The requests.
    pub template: Template,
}

/// All of them.
pub fn rows() -> Vec<Row> {
    let row = |section, name, rule, subscribers, template| Row { section, name, rule, subscribers, template };
    let rule = |durability| Rule { durability: Some(durability), ..Rule::default() };
    let form = |form| Rule { form, ..rule("intent") };
    let many = Rule { more_routes: 10_000, ..Rule::default() };
    let put = || Template::put("profiles");
    vec![
        row("proxy", "GET", Rule::default(), 0, Template::get("profiles")),
        row("proxy", "GET, 10,000 routes", many, 0, Template::get("profiles")),
        row("proxy", "POST of 1 KiB", Rule::default(), 0, Template::post("profiles", 1 << 10)),
        row("proxy", "POST of 32 KiB", Rule::default(), 0, Template::post("profiles", 32 << 10)),
        row("publish", "PUT, no match", rule("intent"), 0, Template::put("other")),
        row("publish", "PUT, intent", rule("intent"), 0, put()),
        row("publish", "PUT, intent, 1 subscriber", rule("intent"), 1, put()),
        row("publish", "PUT, strict", rule("strict"), 0, put()),
        row("publish", "PUT, outcome", rule("outcome"), 0, put()),
        row("publish", "PUT, memory", rule("memory"), 0, put()),
        row("delivery", "PUT, HMAC", form(Form::Hmac), 1, put()),
        row("delivery", "PUT, SNS", form(Form::Sns), 1, put()),
        row("delivery", "PUT, 10 subscribers", rule("intent"), 10, put()),
    ]
}
