//! `DeleteTopic`: deletes a topic and its subscriptions; what they were owed is dropped. It is not an error if the topic does not exist.

use control::{Control, Edit};
use entities::Kind;

use super::{Context, Error, arn};

pub(super) async fn call(context: &Context<'_>, control: &Control) -> Result<String, Error> {
    let name = match arn::topic(context) {
        Ok(name) => name,
        Err(error) if error == Error::not_found("Topic") => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let ended = control.change(move |changes| {
        let all = changes.whole().all();
        let Some(topic) = all.topics.iter().find(|one| one.name == name) else { return Ok(()) };
        let subscriptions = all.subscriptions.iter().filter(|one| one.topic == name);
        let mut end: Vec<_> = subscriptions.map(|one| (Kind::Subscription, one.id)).collect();
        end.push((Kind::Topic, topic.id));
        changes.apply(Edit { end, ..Edit::default() }).map(drop)
    });
    ended.await?;
    Ok(String::new())
}
