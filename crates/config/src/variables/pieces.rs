//! Divides a value into pieces: texts that stay as they are written, and variables.

use std::ops::Range;

/// A part of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// As it is written.
    Text(&'t str),
    /// A variable.
    Variable {
        /// Its name.
        name: &'t str,
        /// The part of the value that it fills.
        place: Place,
    },
    /// `{vault://env/name}`.
    Vault {
        /// The variable's name.
        name: String,
    },
}

/// The part of a value that a variable fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The whole value.
    Whole,
    /// The host of a URL, or a part of it.
    Host,
    /// The port of a URL.
    Port,
    /// Something else.
    Part,
}

impl Place {
    /// The placeholder for a variable that is not set: valid where it is used, and nobody's real value.
    pub(super) fn stand_in(self, name: &str, key: &str) -> String {
        let label = name.to_ascii_lowercase().replace('_', "-");
        let label = label.trim_matches('-');
        match (self, key) {
            (Self::Port, _) => "80".to_owned(),
            (Self::Whole, "url" | "endpoint") => format!("http://{label}.unset.invalid/"),
            (Self::Whole, "host" | "target") | (Self::Host, _) => format!("{label}.unset.invalid"),
            (Self::Whole, "paths") => format!("/{label}"),
            _ => format!("unset-{label}"),
        }
    }
}

/// Why a value cannot be read, and what to do about it.
type Fault = (&'static str, &'static str);

/// The pieces of a value, in order.
pub(super) fn of(text: &str) -> Result<Vec<Piece<'_>>, Fault> {
    if let Some(reference) = text.strip_prefix("{vault://").and_then(|rest| rest.strip_suffix('}')) {
        return Ok(vec![Piece::Vault { name: vault(reference)? }]);
    }
    if let Some(name) = text.strip_prefix('$').filter(|name| is_name(name)) {
        return Ok(vec![Piece::Variable { name, place: Place::Whole }]);
    }
    let authority = Authority::of(text);
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(dollar) = text[at..].find('$').map(|found| at + found) {
        if dollar > at {
            pieces.push(Piece::Text(&text[at..dollar]));
        }
        let rest = &text[dollar..];
        if rest.starts_with("$$") {
            pieces.push(Piece::Text("$"));
            at = dollar + 2;
        } else if rest.starts_with("${{") {
            let end = rest.find("}}").ok_or(TEMPLATE)?;
            let name = of_deck(rest[3..end].trim()).ok_or(TEMPLATE)?;
            at = dollar + end + 2;
            pieces.push(Piece::Variable { name, place: place(text, dollar..at, &authority) });
        } else if let Some(name) = braced(rest) {
            at = dollar + name.len() + 3;
            pieces.push(Piece::Variable { name, place: place(text, dollar..at, &authority) });
        } else if let Some(part) = authority.part_at(dollar) {
            at = part.end;
            let place = place(text, part.clone(), &authority);
            pieces.push(Piece::Variable { name: &text[part][1..], place });
        } else {
            pieces.push(Piece::Text("$"));
            at = dollar + 1;
        }
    }
    if at < text.len() {
        pieces.push(Piece::Text(&text[at..]));
    }
    Ok(pieces)
}

const TEMPLATE: Fault = (
    "this template is not understood",
    "write `${{ env \"DECK_NAME\" }}` with the name of a variable, or `$$` for a dollar",
);

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The name in `${NAME}…`.
fn braced(rest: &str) -> Option<&str> {
    let (name, _) = rest.strip_prefix("${")?.split_once('}')?;
    is_name(name).then_some(name)
}

/// The name in decK's `env "NAME"`, also with a filter that names its type, which is ignored because the schema knows it.
fn of_deck(inner: &str) -> Option<&str> {
    let (env, kind) = inner.split_once('|').unwrap_or((inner, "toString"));
    let quoted = env.trim().strip_prefix("env")?.trim();
    let name = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let is_known = matches!(kind.trim(), "toString" | "toInt" | "toBool" | "toFloat");
    (is_known && is_name(name)).then_some(name)
}

/// The variable that a vault reference means.
fn vault(reference: &str) -> Result<String, Fault> {
    let name = reference.strip_prefix("env/").filter(|name| !name.is_empty() && !name.contains('/'));
    let hint = "refer to an environment variable: {vault://env/NAME}";
    let name = name.ok_or(("this vault is not supported yet", hint))?;
    Ok(name.to_ascii_uppercase().replace('-', "_"))
}

/// The part of the value that the piece at this range fills.
fn place(text: &str, piece: Range<usize>, authority: &Authority) -> Place {
    let within = |part: &Range<usize>| part.start <= piece.start && piece.end <= part.end;
    if piece == (0..text.len()) {
        Place::Whole
    } else if authority.host.as_ref().is_some_and(within) {
        Place::Host
    } else if authority.port.as_ref().is_some_and(within) {
        Place::Port
    } else {
        Place::Part
    }
}

/// The parts of a URL's authority; none if the value is not a URL.
#[derive(Default)]
struct Authority {
    user: Option<Range<usize>>,
    password: Option<Range<usize>>,
    host: Option<Range<usize>>,
    port: Option<Range<usize>>,
    /// The parts that consist of a dollar and a name, and nothing else.
    named: Vec<Range<usize>>,
}

impl Authority {
    fn of(text: &str) -> Self {
        let Some(begin) = text.find("://").map(|at| at + 3) else { return Self::default() };
        let end = text[begin..].find(['/', '?', '#']).map_or(text.len(), |at| begin + at);
        let host_begin = text[begin..end].rfind('@').map_or(begin, |at| begin + at + 1);
        let mut parts = Self::default();
        if host_begin > begin {
            let users = begin..host_begin - 1;
            let colon = text[users.clone()].find(':').map(|at| users.start + at);
            parts.user = Some(users.start..colon.unwrap_or(users.end));
            parts.password = colon.map(|colon| colon + 1..users.end);
        }
        let colon = text[host_begin..end].rfind(':').map(|at| host_begin + at);
        let colon = colon.filter(|colon| !text[*colon..end].contains(']'));
        parts.host = Some(host_begin..colon.unwrap_or(end));
        parts.port = colon.map(|colon| colon + 1..end);
        let all = [&parts.user, &parts.password, &parts.host, &parts.port];
        let is_named = |part: &&Range<usize>| text[(*part).clone()].strip_prefix('$').is_some_and(is_name);
        parts.named = all.into_iter().flatten().filter(is_named).cloned().collect();
        parts
    }

    fn part_at(&self, dollar: usize) -> Option<Range<usize>> {
        self.named.iter().find(|part| part.start == dollar).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces as one text: variables in angle brackets, with what they stand for.
    fn shown(text: &str) -> String {
        let piece = |piece: Piece<'_>| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Variable { name, place } => format!("<{name} {place:?}>"),
            Piece::Vault { name } => format!("<{name} vault>"),
        };
        match of(text) {
            Ok(pieces) => pieces.into_iter().map(piece).collect(),
            Err((message, _)) => format!("! {message}"),
        }
    }

    #[test]
    fn variables_stand_where_they_may() {
        for (text, expected) in [
            ("$NAME", "<NAME Whole>"),
            ("${NAME}", "<NAME Whole>"),
            ("a-${A_1}-${_B}", "a-<A_1 Part>-<_B Part>"),
            ("$NAME and more", "$NAME and more"),
            ("a$NAME", "a$NAME"),
            ("http://$HOST:$PORT/$PATH", "http://<HOST Host>:<PORT Port>/$PATH"),
            ("http://$USER:$PASS@$HOST/", "http://<USER Part>:<PASS Part>@<HOST Host>/"),
            ("http://a-$HOST/", "http://a-$HOST/"),
            ("http://a-${HOST}.b:${PORT}?x", "http://a-<HOST Host>.b:<PORT Port>?x"),
            ("http://[::1]:$PORT", "http://[::1]:<PORT Port>"),
            ("$name ${name} $1 ${1A} ${} $ ${A", "$name ${name} $1 ${1A} ${} $ ${A"),
            ("$(headers.x) ^/a$", "$(headers.x) ^/a$"),
            ("$$", "$"),
            ("$$NAME", "$NAME"),
            ("$${NAME}", "${NAME}"),
            ("$$${NAME}", "$<NAME Part>"),
            ("${{ env \"DECK_A\" }}", "<DECK_A Whole>"),
            ("Bearer ${{env \"DECK_A\"|toInt}}", "Bearer <DECK_A Part>"),
            ("${{ env 'A' }}", "! this template is not understood"),
            ("${{ A", "! this template is not understood"),
            ("{vault://env/my-key}", "<MY_KEY vault>"),
            ("{vault://aws/my-key}", "! this vault is not supported yet"),
            ("x{vault://env/my-key}", "x{vault://env/my-key}"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
