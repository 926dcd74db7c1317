//! Judging a request: finding its key, and the consumer whose key it is.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use event::redaction::CredentialNames;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, Uri};
use pipeline::context::Credential;
use pipeline::{Access, Context, Deciding, RequestBody, RequestHead, Verdict, answer};

use super::body::{self, Found, Parsed, Unreadable};
use super::config::{Config, Valid};
use super::query;
use crate::consumers::{Consumers, Somebody};

/// One configured key-auth.
pub(super) struct KeyAuth {
    config: Config,
    headers: Vec<HeaderName>,
    challenge: HeaderValue,
    /// The names of keys: no event has their values, neither from a request nor from an answer that repeats it.
    names: Arc<CredentialNames>,
    consumers: Consumers,
}

/// Whose key it is: the consumer, and the credential.
type Owner<'k> = (&'k Arc<Somebody>, &'k Arc<Credential>);

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
        if let Some(anonymous) = &config.anonymous
            && consumers.find(anonymous).is_none()
        {
            tracing::warn!(
                anonymous,
                "key-auth: the consumer of `anonymous` does not exist, so every request without a valid key gets 500: \
                 make the consumer, or change `anonymous`"
            );
        }
        let challenge = match &config.realm {
            Some(realm) => format!("Key realm=\"{realm}\""),
            None => "Key".to_owned(),
        };
        let names = CredentialNames {
            headers: if config.key_in_header { headers.clone() } else { Vec::new() },
            arguments: if config.key_in_query { config.key_names.clone() } else { Vec::new() },
        };
        Self {
            challenge: HeaderValue::from_bytes(challenge.as_bytes())
                .unwrap_or(HeaderValue::from_static("Key")),
            names: Arc::new(names),
            config,
            headers,
            consumers,
        }
    }

    fn judge(&self, request: &mut RequestHead, context: &mut Context) -> Verdict {
        let config = &self.config;
        let needs_key = !self.lets_through_without_key(request, context);
        let in_head = if needs_key { self.in_head(request) } else { Found::Nothing };
        let is_in_head = in_head != Found::Nothing;
        // Read the body only where it is needed: every client that may send one can make the gateway wait for it.
        let reads_body = config.key_in_body && (config.hide_credentials || (needs_key && !is_in_head));
        let of_head = is_in_head.then(|| self.owner(in_head, context));
        if reads_body && request.body == RequestBody::Unread {
            return match of_head {
                Some(Err(unknown)) if config.anonymous.is_none() => {
                    Verdict::Respond(self.refusal(unknown, context))
                }
                _ => Verdict::NeedsBody,
            };
        }
        let bytes = if let RequestBody::Whole(bytes) = &request.body { bytes.clone() } else { Bytes::new() };
        let body = if reads_body { Some(parsed(request, &bytes)) } else { None };
        let owner = match (of_head, &body) {
            _ if !needs_key => None,
            (Some(owner), _) => Some(owner),
            (None, Some(Ok(body))) => Some(self.owner(self.in_body(body), context)),
            (None, Some(Err(Unreadable))) => Some(Err(Unknown::Body)),
            (None, None) => Some(Err(Unknown::NoKey)),
        };
        context.carried.names.push(self.names.clone());
        // If keys are not hidden, one in the body stays there, even if another one was in the head.
        context.carried.in_body |=
            config.key_in_body && !(config.hide_credentials && matches!(body, Some(Ok(_))));
        if config.hide_credentials {
            self.hide_in_head(request);
            match body {
                Some(Ok(body)) => {
                    if let Some(left) = body.without(&config.key_names) {
                        request.body = RequestBody::Whole(left.into());
                    }
                }
                // It may contain a key that could not be found, and the service would get it.
                Some(Err(Unreadable)) => return Verdict::Respond(self.refusal(Unknown::Body, context)),
                None => {}
            }
        }
        owner.map_or(Verdict::Continue, |owner| self.let_in(owner, request, context))
    }

    /// Whether no key is needed: for a preflight, or where another plug-in has recognised the client and one of several is enough.
    fn lets_through_without_key(&self, request: &RequestHead, context: &Context) -> bool {
        let Config { run_on_preflight, anonymous, .. } = &self.config;
        (request.method == Method::OPTIONS && !run_on_preflight)
            || (anonymous.is_some() && context.credential.is_some())
    }

    fn owner(&self, found: Found<'_>, context: &Context) -> Result<Owner<'_>, Unknown> {
        match found {
            Found::One(key) if !key.is_empty() => {
                self.consumers.by_key(&key, context.started_at).ok_or(Unknown::Nobody)
            }
            Found::One(_) | Found::Nothing => Err(Unknown::NoKey),
            Found::Several => Err(Unknown::Several),
        }
    }

    fn let_in(
        &self,
        owner: Result<Owner<'_>, Unknown>,
        request: &mut RequestHead,
        context: &mut Context,
    ) -> Verdict {
        let unknown = match owner {
            Ok((somebody, credential)) => {
                somebody.identify(Some(credential), &mut request.headers, context);
                return Verdict::Continue;
            }
            Err(unknown) => unknown,
        };
        let Some(anonymous) = &self.config.anonymous else {
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

    /// The value in a header or in the query, under the first of the names that is there.
    fn in_head<'r>(&self, request: &'r RequestHead) -> Found<'r> {
        let Config { key_names, key_in_header, key_in_query, .. } = &self.config;
        let query = request.uri.query().unwrap_or_default();
        for (name, header) in key_names.iter().zip(&self.headers) {
            let in_header = if *key_in_header { in_headers(request, header) } else { Found::Nothing };
            let found = match in_header {
                Found::Nothing if *key_in_query => query::find(query.as_bytes(), name),
                found => found,
            };
            if found != Found::Nothing {
                return found;
            }
        }
        Found::Nothing
    }

    fn in_body<'b>(&self, body: &Parsed<'b>) -> Found<'b> {
        let mut all = self.config.key_names.iter().map(|name| body.find(name));
        all.find(|found| *found != Found::Nothing).unwrap_or(Found::Nothing)
    }

    /// Removes from the head everything that may be a key.
    fn hide_in_head(&self, request: &mut RequestHead) {
        let config = &self.config;
        if config.key_in_header {
            self.headers.iter().for_each(|name| drop(request.headers.remove(name)));
        }
        if config.key_in_query
            && let Some(query) = request.uri.query()
            && let Some(left) = query::without(query.as_bytes(), &config.key_names)
        {
            set_query(&mut request.uri, &left);
        }
    }
}

impl Access for KeyAuth {
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

/// `bytes` are those of the body, if it is whole.
fn parsed<'b>(request: &RequestHead, bytes: &'b Bytes) -> Result<Parsed<'b>, Unreadable> {
    match request.body {
        RequestBody::Whole(_) => {
            let content_type = request.headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
            body::parse(content_type, bytes)
        }
        RequestBody::TooLong | RequestBody::Unread => Err(Unreadable),
    }
}

/// Replaces the query of a target; removes it if `query` is empty.
fn set_query(uri: &mut Uri, query: &[u8]) {
    let path = uri.path();
    let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
    let target = Bytes::from([path.as_bytes(), mark, query].concat());
    // A part of a valid target is a valid one.
    let Ok(target) = PathAndQuery::from_maybe_shared(target) else { return };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(target);
    *uri = Uri::from_parts(parts).unwrap_or_default();
}
