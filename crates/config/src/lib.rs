//! The configuration: Kong's declarative format, extended by `topics`, `subscriptions` and `queues`.
//!
//! Texts in, data out: [`check`] takes the texts of all files and returns either a [`Config`] in which every reference is resolved, or a
//! [`Report`] of *everything* that is wrong, each problem with file, line, column, path and a hint. [`load`] reads the files.
//!
//! The steps; each covers all files before the next one begins:
//! 1. `tree`: YAML to a tree in which every value knows its place, within limits.
//! 2. `variables`: `${NAME}` is replaced by the value in the environment.
//! 3. `dialect`: older versions of the format are translated.
//! 4. `schema`: the tree is checked against the JSON Schema of the structs in `raw`, the one source of the format.
//! 5. `check`: what a schema cannot say about each entity; then references, names that are used twice, and the plug-ins' own checks. Keys whose
//!    structure does not fit are left out here, and it is not a problem if the entity then lacks them: one mistake makes one problem.
//! 6. `loaded`: the result, as entities of origin `file`.
//!
//! Nothing is ignored silently: a key, value, entity or plug-in that Retrohook does not serve is refused by name. This crate knows no sockets
//! and no wall clock; the time of the check and the environment are parameters.

mod check;
mod dialect;
mod foreign;
mod hidden;
mod load;
mod loaded;
mod problem;
mod published;
mod raw;
mod reader;
mod schema;
mod secret;
mod settings;
mod tree;
mod variables;
mod written;

pub use check::{Options, Tolerance, check, stand_in};
pub use load::{STANDARD_INPUT, Text, load, read_all};
pub use loaded::{Config, Places};
pub use problem::{Problem, Report};
pub use published::json_schema;
pub use reader::Reader;
pub use settings::check_settings;
pub use tree::{MAX_DEPTH, MAX_FILE, MAX_NODES, Place};
pub use written::{Templates, Withheld, Written, write};
