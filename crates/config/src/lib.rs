//! The configuration: Kong's declarative format, and `topics`, `subscriptions` and `queues` beside it.
//!
//! Texts in, data out: [`check`] takes the texts of all files and returns either a [`Config`] in which every reference is resolved, or a
//! [`Report`] of *all* that is wrong, each with file, line, column, path and a hint. [`load`] is the thin shell that reads the files.
//!
//! The steps, each over all files before the next begins:
//! 1. `tree`: YAML to a tree in which every value knows its place, within limits.
//! 2. `variables`: the environment's values instead of `${NAME}`.
//! 3. `dialect`: what older versions of the format say in other words.
//! 4. `schema`: the tree held against the JSON Schema of the structs in `raw`, the one source of the format.
//! 5. `check`: entity by entity what a schema cannot say, then references, names that are used twice, and the plug-ins' own checks. A key
//!    with a problem of structure is left out of this, and what its entity then lacks is not judged: one mistake makes one problem.
//! 6. `loaded`: the result, as entities of origin `file`.
//!
//! Nothing is ignored in silence: a key, value, entity or plug-in that we do not serve is refused by name. Knows no sockets and no wall
//! clock; the time of the load and the environment are parameters.

mod check;
mod dialect;
mod foreign;
mod hidden;
mod load;
mod loaded;
mod problem;
mod published;
mod raw;
mod schema;
mod secret;
mod settings;
mod tree;
mod variables;
mod written;

pub use check::{Options, Tolerance, check, stand_in};
pub use load::{STANDARD_INPUT, Text, check_texts, load, read_all};
pub use loaded::{Config, Places};
pub use problem::{Problem, Report};
pub use published::json_schema;
pub use settings::check_settings;
pub use tree::{MAX_DEPTH, MAX_FILE, MAX_NODES, Place};
pub use written::{Templates, Withheld, Written, write};
