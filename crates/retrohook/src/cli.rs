//! The command line and the environment: subcommands and node settings.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use config::Tolerance;
use entities::network::Network;
use listener::guard::{HostPattern, Origin};

mod listen;
mod receive;
pub mod value;

use crate::operate::{
    DEAD_LETTERS_EXAMPLES, DELIVERIES_EXAMPLES, DeadLettersArgs, DeliveriesArgs, EVENTS_EXAMPLES, EventsArgs,
    SUBSCRIPTIONS_EXAMPLES, SubscriptionsArgs,
};
pub use listen::Listen;
pub use receive::ReceiveArgs;
use value::{account_id, misplaced_file, region, seconds, size, switch, workers};

/// An API gateway that gives webhooks to any HTTP service that has none.
///
/// Put it in front of the service, say which successful requests matter, and every subscriber gets an event for each of them: signed, in order,
/// at least once, through crashes and outages.
#[derive(Debug, Parser)]
#[command(name = "retrohook", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  retrohook demo                                   watch the whole story happen, then try it with curl
  retrohook run -c gateway.yaml                    run a gateway
  retrohook run -c kong.yaml -c topics.yaml        one file that decK also reads, one with topics
  retrohook check gateway.yaml                     list every problem of a configuration
  retrohook check --data ./retrohook-data          look for damage in a data directory
  retrohook reload                                 have the running gateway read its files anew
  retrohook events --follow                        what a running gateway records, as it comes
  retrohook deliveries --state waiting             what it still tries to deliver, and why
  retrohook receive 9000 9100                      a service to call and a webhook to deliver to, which show what arrives
Every setting of `run` has an environment variable too: --data-dir is RETROHOOK_DATA_DIR.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a gateway.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// Show how it works, with real parts: a service, the gateway, a webhook, a queue worker.
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoArgs),
    /// Check configuration files or a data directory: print every problem, and end with status 1 if there is one.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Make a running node read its configuration files again, and print the result; end with status 1 if the node refused them.
    #[command(after_help = RELOAD_EXAMPLES)]
    Reload(ReloadArgs),
    /// Show what arrives on a port: webhooks, whose signatures are checked and whose subscriptions are confirmed, and any other request, which is
    /// answered with what it was.
    #[command(after_help = RECEIVE_EXAMPLES)]
    Receive(ReceiveArgs),
    /// What happened: list events of a running node, follow them, show one with its deliveries.
    #[command(after_help = EVENTS_EXAMPLES)]
    Events(Box<EventsArgs>),
    /// What waits: list deliveries of a running node that are not done; try one now, or give it up.
    #[command(after_help = DELIVERIES_EXAMPLES)]
    Deliveries(Box<DeliveriesArgs>),
    /// Who is owed what: list subscriptions of a running node; confirm, enable, disable one, or try all its deliveries now.
    #[command(after_help = SUBSCRIPTIONS_EXAMPLES)]
    Subscriptions(Box<SubscriptionsArgs>),
    /// What was given up: list dead letters of a running node, follow them, send them again.
    #[command(after_help = DEAD_LETTERS_EXAMPLES)]
    DeadLetters(Box<DeadLettersArgs>),
    /// Print the version.
    Version,
}

const RUN_EXAMPLES: &str = "\
Examples:
  retrohook run -c gateway.yaml
  retrohook run -c gateway.yaml --proxy-listen 0.0.0.0:80 --data-dir /var/lib/retrohook
  retrohook run -c gateway.yaml --allow-endpoints 10.1.0.0/16 --allow-endpoints hooks.internal
  RETROHOOK_LOG_FORMAT=json retrohook run -c gateway.yaml
  retrohook run --proxy-listen 127.0.0.1:0         a free port, printed at the start; no routes yet
  retrohook run -c kong.yaml --skip-unsupported    without plug-ins that are not served; what may protect is closed
  retrohook run -c kong.yaml --skip-plugin bot-detection    and this one is left out, although it protects

Logs go to standard error. RETROHOOK_LOG chooses what is logged: error, warn, info (the default), debug or trace, for all or
for one part: RETROHOOK_LOG=delivery=debug,info";

const DEMO_EXAMPLES: &str = "\
Examples:
  retrohook demo                                   watch, then go on with the lines that it prints for curl
  retrohook demo --once                            watch, and end with a summary: status 0 if every step happened";

const CHECK_EXAMPLES: &str = "\
Examples:
  retrohook check gateway.yaml
  retrohook check kong.yaml topics.yaml            files that are run together are checked together
  retrohook check -c kong.yaml -c topics.yaml      the same
  retrohook check - < gateway.yaml                 what comes on the standard input
  retrohook check --strict gateway.yaml            variables that are not set are problems, as at a start
  retrohook check --skip-unsupported kong.yaml     what is left when plug-ins that are not served are left out
  retrohook check --data /var/lib/retrohook        all of a data directory, also while a gateway uses it";

const RELOAD_EXAMPLES: &str = "\
Examples:
  retrohook reload                                 the node whose admin port is 127.0.0.1:8001
  retrohook reload --admin unix:/run/retrohook/admin.sock
  kill -HUP PID                                    the same; what came of it is in the node's own output";

const RECEIVE_EXAMPLES: &str = "\
Examples:
  retrohook receive 9100                           http://localhost:9100/ takes deliveries, whatever the path
  retrohook receive 9000 9100                      and the service behind the gateway, which echoes
  retrohook receive 9100 --status 503              an endpoint that is down: see how deliveries wait
  retrohook receive 9100 --secret whsec_…          check Standard Webhooks, too
  retrohook receive 9100 --json | jq .event        a line for each arrival, with whole bodies
  retrohook receive 0.0.0.0:9100 --hub-url http://gateway.internal:4566

A signature of SNS's form is checked with the certificate that the message names, and a subscription is confirmed, only if both are on this
machine or at --hub-url: nothing else is asked, whatever a message says. It ends with Ctrl-C.";

/// Settings of `reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// The node's admin port, written as in its --admin-listen: an address with port, or `unix:/path/of/a.sock`.
    #[arg(long, value_name = "ADDR", env = "RETROHOOK_ADMIN_LISTEN", default_value = "127.0.0.1:8001")]
    pub admin: Listen,
}

/// Settings of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Only for the error message that files are named with `-c`.
    #[arg(value_name = "FILE", hide = true, value_parser = misplaced_file)]
    pub misplaced: Vec<Infallible>,
    /// A configuration file in Kong's declarative format, with topics, subscriptions and queues; may be repeated. Without one the gateway goes
    /// on with the configuration that it served last from this data directory; with a new directory it starts empty.
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        env = "RETROHOOK_CONFIG",
        value_delimiter = ','
    )]
    pub config: Vec<PathBuf>,
    /// What to do with plug-ins that are not served.
    #[command(flatten)]
    pub skip: SkipArgs,
    /// The node's settings.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// What to do with plug-ins that are not served. By default, a configuration with such a plug-in is refused.
#[derive(Clone, Debug, Default, Args)]
pub struct SkipArgs {
    /// Go on without plug-ins that are not served. Those that are known not to protect anything (cors, log and metric plug-ins, transformers)
    /// are left out; routes with any other one answer 503. There is a warning for each.
    #[arg(
        long,
        env = "RETROHOOK_SKIP_UNSUPPORTED",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        action = ArgAction::Set,
        value_parser = switch
    )]
    pub skip_unsupported: bool,
    /// Leave out a plug-in of this name if it is not served, even if it protects; may be repeated. Each start warns about it.
    #[arg(long, value_name = "NAME", env = "RETROHOOK_SKIP_PLUGIN", value_delimiter = ',')]
    pub skip_plugin: Vec<String>,
}

impl SkipArgs {
    /// What a check reports as a warning instead of a problem.
    pub fn tolerance(&self) -> Tolerance<'_> {
        let Self { skip_unsupported, skip_plugin } = self;
        Tolerance { skip_unsupported: *skip_unsupported, skip_plugins: skip_plugin, ..Tolerance::default() }
    }
}

/// Where deliveries may go beside public addresses.
#[derive(Clone, Debug, Default, Args)]
pub struct AllowArgs {
    /// Also deliver to private and loopback addresses. Link-local addresses stay forbidden (--allow-endpoints CIDR allows them); the metadata
    /// addresses of clouds are always forbidden.
    #[arg(
        long,
        env = "RETROHOOK_ALLOW_PRIVATE_ENDPOINTS",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        action = ArgAction::Set,
        value_parser = switch
    )]
    pub allow_private_endpoints: bool,
    /// Also deliver to this network or host name; may be repeated.
    #[arg(long, value_name = "CIDR|NAME", env = "RETROHOOK_ALLOW_ENDPOINTS", value_delimiter = ',')]
    pub allow_endpoints: Vec<String>,
}

/// Node settings: they belong to this process and not to the configuration.
#[derive(Clone, Debug, Args)]
pub struct NodeArgs {
    /// The directory in which intents, events and queues are stored.
    #[arg(long, value_name = "DIR", env = "RETROHOOK_DATA_DIR", default_value = "./retrohook-data")]
    pub data_dir: PathBuf,
    /// The listener for clients' requests: an address with port (0 picks a free one), or `off`.
    #[arg(long, value_name = "ADDR", env = "RETROHOOK_PROXY_LISTEN", default_value = "0.0.0.0:8000")]
    pub proxy_listen: Listen,
    /// Status, metrics, events and deliveries: an address, `unix:/path/of/a.sock` for a Unix socket, or `off`.
    #[arg(long, value_name = "ADDR", env = "RETROHOOK_ADMIN_LISTEN", default_value = "127.0.0.1:8001")]
    pub admin_listen: Listen,
    /// Kong's 0.x Admin API (`/apis`), for kongfig: an address, `unix:/path/of/a.sock`, or `off`.
    #[arg(
        long,
        value_name = "ADDR",
        env = "RETROHOOK_LEGACY_ADMIN_LISTEN",
        default_value = "127.0.0.1:8011"
    )]
    pub legacy_admin_listen: Listen,
    /// SNS and SQS: an address, `unix:/path/of/a.sock`, or `off`.
    #[arg(long, value_name = "ADDR", env = "RETROHOOK_HUB_LISTEN", default_value = "127.0.0.1:4566")]
    pub hub_listen: Listen,
    /// The part of the hub that endpoints on other machines need: confirmation, unsubscription and the signing certificate.
    #[arg(long, value_name = "ADDR", env = "RETROHOOK_HUB_PUBLIC_LISTEN", default_value = "off")]
    pub hub_public_listen: Listen,
    /// The URL in messages for confirmation, unsubscription and the certificate. By default, the hub's own address.
    #[arg(long, value_name = "URL", env = "RETROHOOK_HUB_URL")]
    pub hub_url: Option<String>,
    /// What to do with a request whose path services read in different ways (`%2F`, `%5C`, a backslash, dots after them): `match` forwards it
    /// and compares rules with every reading, `refuse` answers 400. If the readings lead to different routes, the answer is always 400.
    #[arg(long, value_name = "WHAT", env = "RETROHOOK_AMBIGUOUS_PATHS", default_value = "match")]
    pub ambiguous_paths: AmbiguousPaths,
    /// Whether services see this gateway in the `Via` of a request: `send` or `omit`. Some compress nothing for a request that has one: nginx,
    /// unless its `gzip_proxied` says otherwise. With `omit`, only what a client sends in `Via` reaches them.
    #[arg(long, value_name = "WHAT", env = "RETROHOOK_VIA", default_value = "send")]
    pub via: Via,
    /// How the names of headers are written, to clients and to services: `lower`, or `keep` for the case in which they came. They mean the same
    /// in any case (RFC 9110, 5.1); `keep` is for programs that do not know that, and makes every request dearer.
    #[arg(long, value_name = "HOW", env = "RETROHOOK_HEADER_NAMES", default_value = "lower")]
    pub header_names: HeaderNames,
    /// The port of the client's Host in `X-Forwarded-Host`: `keep` tells it to the service unless it is the scheme's own, so that the URLs that
    /// the service makes lead back here; `strip` removes it, as Kong does.
    #[arg(long, value_name = "WHAT", env = "RETROHOOK_FORWARDED_HOST_PORT", default_value = "keep")]
    pub forwarded_host_port: ForwardedHostPort,
    /// What services are told besides: `forwarded` (RFC 7239), `x-script-name` (the part of the path that `strip_path` removed); may be repeated.
    #[arg(long, value_name = "HEADER", env = "RETROHOOK_TELL", value_delimiter = ',')]
    pub tell: Vec<Tell>,
    /// A proxy in front of this one, as address or CIDR, whose headers are believed about how a request came to it: `X-Forwarded-Proto`,
    /// `-Host`, `-Port`, `-Path` and `-Prefix`; may be repeated.
    #[arg(long, value_name = "CIDR", env = "RETROHOOK_TRUSTED_IPS", value_delimiter = ',')]
    pub trusted_ips: Vec<Network>,
    /// A host name that is accepted in requests to admin and hub; `.example.com` for a domain with its subdomains; may be repeated. Addresses,
    /// localhost, names without a dot, this machine's name and the host of --hub-url are always accepted.
    #[arg(long, value_name = "NAME", env = "RETROHOOK_ALLOW_HOST", value_delimiter = ',')]
    pub allow_host: Vec<HostPattern>,
    /// The origin of web pages that may call admin and hub, like https://admin.example.com, besides pages from these themselves; may be
    /// repeated.
    #[arg(long, value_name = "ORIGIN", env = "RETROHOOK_ALLOW_ORIGIN", value_delimiter = ',')]
    pub allow_origin: Vec<Origin>,
    /// The number of threads that serve requests. By default, one per core.
    #[arg(long, value_name = "N", env = "RETROHOOK_WORKERS", value_parser = workers)]
    pub workers: Option<u16>,
    /// The account in ARNs.
    #[arg(long, value_name = "ID", env = "RETROHOOK_ACCOUNT_ID", default_value = "000000000000", value_parser = account_id)]
    pub account_id: String,
    /// The region in ARNs.
    #[arg(long, value_name = "REGION", env = "RETROHOOK_REGION", default_value = "us-east-1", value_parser = region)]
    pub region: String,
    /// Where deliveries may go.
    #[command(flatten)]
    pub allow: AllowArgs,
    /// If the data directory's disk has less free space than this, matching requests are refused: bytes, or with KiB, MiB, GiB, TiB.
    #[arg(long, value_name = "SIZE", env = "RETROHOOK_MIN_FREE", default_value = "256MiB", value_parser = size)]
    pub min_free: u64,
    /// The largest size of the store: bytes, or with KiB, MiB, GiB, TiB. Above nine tenths of it, delivered events are deleted earlier; at the
    /// limit, when everything in it is still owed, matching requests are refused.
    #[arg(long, value_name = "SIZE", env = "RETROHOOK_MAX_STORE", default_value = "10GiB", value_parser = size)]
    pub max_store: u64,
    /// How long requests may take to end after SIGTERM: seconds, or with s, m, h.
    #[arg(long, value_name = "TIME", env = "RETROHOOK_DRAIN_TIMEOUT", default_value = "30s", value_parser = seconds)]
    pub drain_timeout: u64,
    /// A line for each request: `text`, `json` or `off`. Without queries, which may hold keys.
    #[arg(long, value_name = "FORMAT", env = "RETROHOOK_ACCESS_LOG", default_value = "off")]
    pub access_log: AccessLogFormat,
    /// The file of the access log; SIGUSR1 opens it anew. By default, standard output.
    #[arg(long, value_name = "PATH", env = "RETROHOOK_ACCESS_LOG_FILE")]
    pub access_log_file: Option<PathBuf>,
    /// The format of log lines.
    #[arg(long, value_name = "FORMAT", env = "RETROHOOK_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// Settings of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End with a summary instead of staying up; the status is not 0 if a step failed.
    #[arg(long)]
    pub once: bool,
}

/// Settings of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Configuration files; several are read as one configuration. `-` is the standard input.
    #[arg(value_name = "FILE", required_unless_present_any = ["data", "config"])]
    pub files: Vec<PathBuf>,
    /// A configuration file, named as for `run`; may be repeated.
    #[arg(short = 'c', long = "config", value_name = "FILE", value_delimiter = ',')]
    pub config: Vec<PathBuf>,
    /// Report everything that a start refuses as a problem, also a variable that is not set, which is only a warning otherwise.
    #[arg(long)]
    pub strict: bool,
    /// What to do with plug-ins that are not served.
    #[command(flatten)]
    pub skip: SkipArgs,
    /// Where deliveries may go: with what `run` is given, only endpoints that stay closed are warned of.
    #[command(flatten)]
    pub allow: AllowArgs,
    /// Check a whole data directory for damage.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The account in ARNs.
    #[arg(long, value_name = "ID", env = "RETROHOOK_ACCOUNT_ID", default_value = "000000000000", value_parser = account_id)]
    pub account_id: String,
    /// The region in ARNs.
    #[arg(long, value_name = "REGION", env = "RETROHOOK_REGION", default_value = "us-east-1", value_parser = region)]
    pub region: String,
}

/// The format of log lines, which go to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The format of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccessLogFormat {
    /// There is none.
    Off,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What to do with a path that services read in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AmbiguousPaths {
    /// It is forwarded, and rules are compared with every reading.
    Match,
    /// It is answered with 400.
    Refuse,
}

/// What services see of this gateway in `Via`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Its name.
    Send,
    /// Nothing.
    Omit,
}

/// How the names of headers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HeaderNames {
    /// In lower case.
    Lower,
    /// As they came.
    Keep,
}

/// What becomes of the port of the client's Host on the way to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ForwardedHostPort {
    /// It is told, unless it is the scheme's own.
    Keep,
    /// It is not told.
    Strip,
}

/// A header for services that is not sent unless it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tell {
    /// `Forwarded`, RFC 7239.
    Forwarded,
    /// `X-Script-Name`.
    #[value(name = "x-script-name")]
    ScriptName,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Commands of a text that begin with the name of the program, in the middle of a pipe, too.
    fn commands(text: &str) -> Vec<Vec<String>> {
        let lines = text.lines().map(|line| line.trim().split("   ").next().unwrap_or_default());
        let parts = lines.flat_map(|line| line.split(" | "));
        let words = parts.map(|part| {
            // What is quoted is one word.
            let texts = part.split('\'').enumerate();
            let texts =
                texts.map(|(n, text)| if n % 2 == 1 { text.replace(' ', "_") } else { text.to_owned() });
            let part = texts.collect::<String>();
            let words = part.split(" < ").next().unwrap_or_default().split_whitespace();
            words.skip_while(|word| word.starts_with("RETROHOOK_")).map(str::to_owned).collect::<Vec<_>>()
        });
        words.filter(|words| words.first().is_some_and(|word| word == "retrohook")).collect()
    }

    #[test]
    fn every_example_is_a_command_that_is_understood() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = |name: &str| std::fs::read_to_string(docs.join(name)).expect("a text");
        // Of a page only what stands in blocks of code.
        let blocks = |text: String| text.split("```").skip(1).step_by(2).collect::<Vec<_>>().join("\n");
        let helps = [
            EXAMPLES,
            RUN_EXAMPLES,
            DEMO_EXAMPLES,
            CHECK_EXAMPLES,
            RELOAD_EXAMPLES,
            EVENTS_EXAMPLES,
            DELIVERIES_EXAMPLES,
            SUBSCRIPTIONS_EXAMPLES,
            DEAD_LETTERS_EXAMPLES,
        ];
        let helps = helps.map(str::to_owned);
        let pages = ["README.md", "docs/configuration.md", "docs/operations.md", "docs/events.md"];
        let mut count = 0;
        for text in helps.into_iter().chain(pages.map(|page| blocks(read(page)))) {
            for words in commands(&text) {
                count += 1;
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{words:?}: {error}");
                }
            }
        }
        assert!(count > 20, "{count}");
    }
}
