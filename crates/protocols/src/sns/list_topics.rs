//! `ListTopics`: all topics, including those of files.

use control::Control;

use super::page::page;
use super::{Context, Error};
use crate::xml;

pub(super) fn call(context: &Context<'_>, control: &Control) -> Result<String, Error> {
    let whole = control.whole();
    let mut names: Vec<&str> = whole.all().topics.iter().map(|topic| topic.name.as_str()).collect();
    names.sort_unstable();
    let arn = |name: &&str| {
        let arn = context.hub.names().topic_arn(name).to_string();
        format!("<TopicArn>{}</TopicArn>", xml::escape(&arn))
    };
    let page = page(context, "Topics", &names, |name| (*name).to_owned(), arn)?;
    Ok(format!("<ListTopicsResult>{page}</ListTopicsResult>"))
}
