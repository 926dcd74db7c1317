//! Judging a request: finding its key, and whose that is.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, Uri};
use pipeline::context::Carried;
use pipeline::{Access, Context, Deciding, RequestHead, Verdict, answer};

use super::body::{self, Found};
use super::config::{Config, Valid};
use super::query;
use crate::consumers::Consumers;

/// One configured key-auth.
pub(super) struct KeyAuth {
    config: Config,
    headers: Vec<HeaderName>,
    challenge: HeaderValue,
    /// What events must not say of a request whose body may have a key.
    carried: Arc<Carried>,
    /// The same where its body has none.
    carried_beside_body: Arc<Carried>,
    consumers: Consumers,
}

/// Why nobody is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unknown {
    NoKey,
    Several,
    Nobody,
    Body,
}

impl Unknown {
    fn message(self) -> &'static str {
        match self {
            Self::NoKey => "No API key found in request",
            Self::Several => "Duplicate API key found",
            Self::Nobody => "Unauthorized",
            Self::Body => "Cannot process request body",
        }
    }
}

impl KeyAuth {
    pub fn new(valid: Valid, consumers: Consumers) -> Self {
        let Valid { config, headers } = valid;
        let challenge = match &config.realm {
            Some(realm) => format!("Key realm=\"{realm}\""),
            None => "Key".to_owned(),
        };
        let carried = Carried {
            headers: if config.key_in_header { headers.clone() } else { Vec::new() },
            arguments: if config.key_in_query { config.key_names.clone() } else { Vec::new() },
            in_body: config.key_in_body,
        };
        let beside_body = Carried { in_body: false, ..carried.clone() };
        Self {
            challenge: HeaderValue::from_bytes(challenge.as_bytes())
                .unwrap_or(HeaderValue::from_static("Key")),
            carried: Arc::new(carried),
            carried_beside_body: Arc::new(beside_body),
            config,
            headers,
            consumers,
        }
    }

    fn judge(&self, request: &mut RequestHead, context: &mut Context) -> Verdict {
        let config = &self.config;
        let is_let_through = (request.method == Method::OPTIONS && !config.run_on_preflight)
            || (config.anonymous.is_some() && context.credential.is_some());
        let found = (!is_let_through).then(|| {
            self.key(request).and_then(|key| match key.is_empty() {
                true => Err(Unknown::NoKey),
                false => self.consumers.by_key(&key, context.started_at).ok_or(Unknown::Nobody),
            })
        });
        let is_body_clean = config.hide_credentials && self.hide(request);
        let carried = if is_body_clean { &self.carried_beside_body } else { &self.carried };
        context.carried.push(carried.clone());
        if config.hide_credentials && !is_body_clean {
            // It may have a key that was not looked for: the service would get it.
            return Verdict::Respond(self.refusal(Unknown::Body, context));
        }
        let Some(found) = found else { return Verdict::Continue };
        let unknown = match found {
            Ok((somebody, credential)) => {
                somebody.identify(Some(credential), &mut request.headers, context);
                return Verdict::Continue;
            }
            Err(unknown) => unknown,
        };
        let Some(anonymous) = &config.anonymous else {
            return Verdict::Respond(self.refusal(unknown, context));
        };
        match self.consumers.find(anonymous) {
            Some(somebody) => {
                somebody.identify(None, &mut request.headers, context);
                Verdict::Continue
            }
            None => {
                let (status, message) = (StatusCode::INTERNAL_SERVER_ERROR, "An unexpected error occurred");
                Verdict::Respond(answer::refusal(status, message, context))
            }
        }
    }

    fn refusal(&self, unknown: Unknown, context: &Context) -> Response<Bytes> {
        if unknown == Unknown::Body {
            return answer::refusal(StatusCode::BAD_REQUEST, unknown.message(), context);
        }
        let mut refusal = answer::refusal(StatusCode::UNAUTHORIZED, unknown.message(), context);
        refusal.headers_mut().insert(WWW_AUTHENTICATE, self.challenge.clone());
        refusal
    }

    /// The first text that stands under one of the names.
    fn key<'r>(&self, request: &'r RequestHead) -> Result<Cow<'r, [u8]>, Unknown> {
        let config = &self.config;
        for (name, header) in config.key_names.iter().zip(&self.headers) {
            let mut found = Found::Nothing;
            if config.key_in_header {
                found = in_headers(request, header);
            }
            if found == Found::Nothing && config.key_in_query {
                let query = request.uri.query().unwrap_or_default();
                found = query::find(query.as_bytes(), name);
            }
            if found == Found::Nothing && config.key_in_body {
                found = in_body(request, name)?;
            }
            match found {
                Found::One(key) => return Ok(key),
                Found::Several => return Err(Unknown::Several),
                Found::Nothing => {}
            }
        }
        Err(Unknown::NoKey)
    }

    /// Takes everything out that may be a key. `false` if the body could not be looked at.
    fn hide(&self, request: &mut RequestHead) -> bool {
        let config = &self.config;
        let is_body_clean = !config.key_in_body || self.hide_in_body(request);
        if config.key_in_header {
            self.headers.iter().for_each(|name| drop(request.headers.remove(name)));
        }
        if config.key_in_query
            && let Some(query) = request.uri.query()
            && let Some(left) = query::without(query.as_bytes(), &config.key_names)
        {
            set_query(&mut request.uri, &left);
        }
        is_body_clean
    }

    fn hide_in_body(&self, request: &mut RequestHead) -> bool {
        let Some(body) = &request.body else { return false };
        if body.is_empty() {
            return true;
        }
        match body::without(content_type(request), body, &self.config.key_names) {
            Ok(Some(left)) => request.body = Some(Bytes::from(left)),
            Ok(None) => {}
            Err(_) => return false,
        }
        true
    }
}

impl Access for KeyAuth {
    fn reads_body(&self) -> bool {
        self.config.key_in_body
    }

    fn access<'a>(&'a self, request: &'a mut RequestHead, context: &'a mut Context) -> Deciding<'a> {
        Deciding::Now(self.judge(request, context))
    }
}

fn in_headers<'r>(request: &'r RequestHead, name: &HeaderName) -> Found<'r> {
    let mut values = request.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Found::Nothing,
        (Some(one), None) => Found::One(Cow::Borrowed(one.as_bytes())),
        (Some(_), Some(_)) => Found::Several,
    }
}

fn in_body<'r>(request: &'r RequestHead, name: &str) -> Result<Found<'r>, Unknown> {
    let body = request.body.as_ref().ok_or(Unknown::Body)?;
    if body.is_empty() {
        return Ok(Found::Nothing);
    }
    body::find(content_type(request), body, name).map_err(|_| Unknown::Body)
}

fn content_type(request: &RequestHead) -> &[u8] {
    request.headers.get(CONTENT_TYPE).map_or(&[], HeaderValue::as_bytes)
}

/// Gives a target another query; none, if it is empty.
fn set_query(uri: &mut Uri, query: &[u8]) {
    let path = uri.path();
    let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
    let target = Bytes::from([path.as_bytes(), mark, query].concat());
    // A part of what was a target is one.
    let Ok(target) = PathAndQuery::from_maybe_shared(target) else { return };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(target);
    *uri = Uri::from_parts(parts).unwrap_or_default();
}
