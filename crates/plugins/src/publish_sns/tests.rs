//! Matching, configuration problems, and the four durabilities over the in-memory store.

mod bench;
mod configuration;
mod doubts;
mod durability;
mod facts;
mod matching;
mod spelling;
