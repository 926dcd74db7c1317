//! `GET /config`: the configuration that is served, as the text of a file. It has no secrets: the names of environment variables take their place.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use config::{Withheld, Written};
use pipeline::PluginKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Node, page};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConfigQuery")]
pub(crate) struct Parameters {
    #[serde(default)]
    origin: Whose,
}

/// Whose entities are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Whose {
    #[default]
    All,
    File,
    Api,
}

/// `GET /config`: JSON with the text as its member `config`, as in Kong; or the text alone if `Accept` asks for YAML.
pub(crate) async fn get(
    State(node): State<Node>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let Parameters { origin } = page::parameters(parameters, "`origin` (all, file or api)")?;
    let asks_for_yaml = headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("yaml"));
    // Writing thousands of entities takes a moment, and the admin port has only one thread.
    let writing = tokio::task::spawn_blocking(move || write(&node, origin)).await;
    let written = writing.map_err(|error| Error {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: format!("the configuration cannot be written: {error}; this is a bug in Retrohook"),
        hint: "look at the log lines".into(),
    })?;
    Ok(match asks_for_yaml {
        true => ([(CONTENT_TYPE, "application/yaml")], written.text).into_response(),
        false => Json(answer(written)).into_response(),
    })
}

fn write(node: &Node, origin: Whose) -> Written {
    let whole = node.control.whole();
    let set = match origin {
        Whose::All => whole.all(),
        Whose::File => whole.file(),
        Whose::Api => whole.api(),
    };
    let kind = |name: &str| node.kinds.iter().find(|kind| kind.name() == name);
    config::write(set, &|name| kind(name).map(|kind: &&dyn PluginKind| kind.templates()))
}

/// What `GET /config` answers as JSON.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Config")]
pub(crate) struct Answer {
    /// The text, as `POST /config` and `check` take it.
    config: String,
    /// What variables stand for.
    secrets: Vec<Secret>,
    /// What cannot be written.
    left_out: Vec<String>,
}

/// A secret that a variable stands for.
#[derive(Serialize, JsonSchema)]
struct Secret {
    variable: String,
    of: String,
}

fn answer(Written { text, secrets, left_out }: Written) -> Answer {
    let secret = |Withheld { variable, of }: Withheld| Secret { variable, of };
    Answer { config: text, secrets: secrets.into_iter().map(secret).collect(), left_out }
}
