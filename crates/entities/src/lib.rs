//! Entities: what a node serves, as flat values that refer to each other by id.
//!
//! Every entity has an id, tags, times and an [`Origin`]: the files own some, the APIs own the others. Knows no file, no HTTP and no store.

mod origin;

pub use origin::Origin;
