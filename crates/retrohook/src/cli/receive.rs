//! Settings of `receive`.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use delivery::signing::Secret;

/// Settings of `receive`.
#[derive(Debug, Args)]
pub struct ReceiveArgs {
    /// Where to listen: a port of 127.0.0.1 (0 picks a free one), or an address with port. Several may be given.
    #[arg(value_name = "PORT", required = true, value_parser = place)]
    pub places: Vec<SocketAddr>,
    /// Answer deliveries and other requests with this status; requests to confirm are always answered with 200.
    #[arg(long, value_name = "N", default_value = "200", value_parser = status)]
    pub status: u16,
    /// A secret of Standard Webhooks, `whsec_…`: deliveries are checked with it. May be repeated, while one replaces another.
    #[arg(
        long,
        value_name = "SECRET",
        env = "WEBHOOK_SECRET",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub secret: Vec<Secret>,
    /// The gateway's --hub-url, if it is not on this machine: certificates are fetched there, and subscriptions confirmed. Without it only from this
    /// machine.
    #[arg(long, value_name = "URL", value_parser = hub)]
    pub hub_url: Option<http::uri::Authority>,
    /// Print one JSON object a line instead of text, with whole bodies.
    #[arg(long)]
    pub json: bool,
}

fn place(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| "write a port, like 9100, or an IP address with port, like 0.0.0.0:9100".into())
}

fn status(text: &str) -> Result<u16, String> {
    let status = text.parse().ok().filter(|status| (200..=599).contains(status));
    status.ok_or_else(|| "write a status from 200 to 599, like 503".into())
}

fn hub(text: &str) -> Result<http::uri::Authority, String> {
    let hint = "write it like http://gateway.internal:4566";
    let url = text.parse::<http::Uri>().map_err(|error| format!("{error}: {hint}"))?;
    match (url.scheme_str(), url.authority()) {
        (Some("http"), Some(authority)) => Ok(authority.clone()),
        _ => Err(format!("a hub is asked over plain http: {hint}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_one_of_this_machine() {
        assert_eq!(place("9100"), Ok(SocketAddr::from(([127, 0, 0, 1], 9100))));
        assert_eq!(place("[::1]:9100").map(|place| place.to_string()), Ok("[::1]:9100".into()));
        assert!(place("localhost:9100").unwrap_err().contains("9100"));
        assert!(place("70000").is_err());
        assert_eq!((status("204"), status("599")), (Ok(204), Ok(599)));
        assert!(status("100").is_err() && status("600").is_err() && status("ok").is_err());
        assert_eq!(hub("http://gateway:4566/").map(|hub| hub.to_string()), Ok("gateway:4566".into()));
        assert!(hub("https://gateway").is_err() && hub("gateway:4566").is_err());
    }
}
