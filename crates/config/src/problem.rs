//! What is wrong with a configuration, and where: the face that the product shows when a file does not fit.

use std::collections::{HashMap, HashSet};
use std::fmt;

use entities::field::Step;
use entities::{FieldError, Flaw};

use crate::hidden::Hidden;
use crate::tree::{Place, Source, TreePath};
use crate::variables::Variables;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's name, as it was given.
    pub file: String,
    /// Line and column, from 1; `None` if the file could not be read.
    pub place: Option<Place>,
    /// Where in the document, `services[0].plugins[0].config`; empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}\n  hint: {}", self.message, self.hint)
    }
}

/// A report of as many problems ends with a summary.
const LONG: usize = 24;
/// How many kinds of problem a summary names.
const MOST_KINDS: usize = 12;

/// All that is wrong, in the order of the files and of their lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let count = self.problems.len();
        if count == 1 {
            return f.write_str("1 problem");
        }
        write!(f, "{count} problems")?;
        if count < LONG {
            return Ok(());
        }
        let kinds = self.kinds();
        for (message, count) in kinds.iter().take(MOST_KINDS) {
            write!(f, "\n{count:>5} × {message}")?;
        }
        match kinds.len().saturating_sub(MOST_KINDS) {
            0 => Ok(()),
            more => write!(f, "\n      and {more} other kinds"),
        }
    }
}

impl Report {
    /// The messages that there are, each with how many problems have it; the most frequent first.
    fn kinds(&self) -> Vec<(&str, usize)> {
        let mut kinds: Vec<(&str, usize)> = Vec::new();
        let mut places = HashMap::new();
        for problem in &self.problems {
            let message = problem.message.as_str();
            let at = *places.entry(message).or_insert(kinds.len());
            match kinds.get_mut(at) {
                Some((_, count)) => *count += 1,
                None => kinds.push((message, 1)),
            }
        }
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        kinds
    }
}

impl std::error::Error for Report {}

/// A place in one of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The file's index.
    pub(crate) file: usize,
    /// Where in its tree.
    pub(crate) path: TreePath,
}

impl Spot {
    pub(crate) fn key(&self, key: &str) -> Self {
        Self { file: self.file, path: self.path.key(key) }
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        Self { file: self.file, path: self.path.index(index) }
    }
}

/// Something that is allowed and probably not meant, before its place is known.
pub(crate) struct Doubt {
    pub(crate) spot: Spot,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Gathers problems and finds the place of each in its file. None that leaves it shows a secret of the files.
pub(crate) struct Problems<'a> {
    sources: &'a [Source],
    variables: Option<&'a Variables>,
    found: Vec<(usize, Problem)>,
    /// Entities that were not read whole: what they lack is not judged.
    partial: HashSet<(usize, TreePath)>,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(sources: &'a [Source]) -> Self {
        Self { sources, variables: None, found: Vec::new(), partial: HashSet::new() }
    }

    /// Of files that have variables in them. A problem with a value that needs a variable which is not set is dropped: it would be with what
    /// stands in for it.
    pub(crate) fn with(self, variables: &'a Variables) -> Self {
        Self { variables: Some(variables), ..self }
    }

    /// From now on, problems with one of these entities as such are dropped: what it lacks may be in a part that did not fit.
    pub(crate) fn set_partial(&mut self, entities: impl Iterator<Item = (usize, TreePath)>) {
        self.partial = entities.collect();
    }

    /// A problem with the value at `spot`, or with what is missing there.
    pub(crate) fn add(&mut self, spot: &Spot, message: impl Into<String>, hint: impl Into<String>) {
        let is_unset = self.variables.is_some_and(|variables| variables.are_unset_at(spot));
        if is_unset || self.partial.contains(&(spot.file, spot.path.clone())) {
            return;
        }
        self.say(spot, message, hint);
    }

    /// As `add`, whatever is known of the value.
    pub(crate) fn say(&mut self, spot: &Spot, message: impl Into<String>, hint: impl Into<String>) {
        let place = self.sources[spot.file].root.place_of(&spot.path);
        self.add_at(spot, place, message, hint);
    }

    /// A problem with a field of the entity at `spot`.
    pub(crate) fn add_field(&mut self, spot: &Spot, FieldError { path, message, hint, .. }: FieldError) {
        let into = |spot: Spot, step: &Step| match step {
            Step::Key(name) => spot.key(name),
            Step::Index(index) => spot.index(*index),
        };
        self.add(&path.steps().iter().fold(spot.clone(), into), message, hint);
    }

    /// What a check gives, or a problem with the value at `spot`.
    pub(crate) fn keep<T>(&mut self, spot: &Spot, checked: Result<T, Flaw>) -> Option<T> {
        checked.map_err(|Flaw { message, hint, .. }| self.add(spot, message, hint)).ok()
    }

    /// A problem whose place is not that of the value: a key, a syntax error.
    pub(crate) fn add_at(
        &mut self,
        spot: &Spot,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let problem = Problem {
            file: self.sources[spot.file].name.clone(),
            place: Some(place),
            path: spot.path.to_string(),
            message: message.into(),
            hint: hint.into(),
        };
        self.found.push((spot.file, problem));
    }

    /// `file:line:column` of a value, for problems that point to another.
    pub(crate) fn whereabouts(&self, spot: &Spot) -> String {
        let source = &self.sources[spot.file];
        let Place { line, column } = source.root.place_of(&spot.path);
        format!("{}:{line}:{column}", source.name)
    }

    /// The report, if there is anything to report.
    pub(crate) fn into_report(mut self) -> Option<Report> {
        if self.found.is_empty() {
            return None;
        }
        self.found.sort_by_key(|(file, problem)| (*file, problem.place));
        let hidden = Hidden::of(self.sources);
        let shown = |text: String| match self.variables {
            Some(variables) => hidden.shown(&variables.shown(text)),
            None => hidden.shown(&text),
        };
        let told = self.found.into_iter().map(|(_, problem)| Problem {
            path: hidden.shown(&problem.path),
            message: shown(problem.message),
            hint: shown(problem.hint),
            ..problem
        });
        Some(Report { problems: told.collect() })
    }
}
