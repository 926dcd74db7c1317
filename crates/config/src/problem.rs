//! What is wrong with a configuration, and where. This is what users see first when a file does not fit.

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

/// A report of at least this many problems ends with a summary.
const LONG: usize = 24;
/// How many kinds of problem a summary names.
const MOST_KINDS: usize = 12;

/// Everything that is wrong, in the order of the files and of their lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The problems.
    pub problems: Vec<Problem>,
    /// What is allowed and probably not meant, as far as it can be told beside the problems.
    pub warnings: Vec<Problem>,
}

/// The warnings first: what keeps a configuration from being taken is read last.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
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
    /// With warnings of what has no problem.
    pub(crate) fn beside(self, mut warnings: Vec<Problem>) -> Self {
        let broken: HashSet<(&str, &str)> =
            self.problems.iter().map(|problem| (problem.file.as_str(), problem.path.as_str())).collect();
        warnings.retain(|warning| !broken.contains(&(warning.file.as_str(), warning.path.as_str())));
        Self { warnings, ..self }
    }

    /// The different messages, each with the number of its problems; the most frequent one first.
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

/// Something that is allowed but probably not meant, before its place is known.
pub(crate) struct Doubt {
    pub(crate) spot: Spot,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Collects problems and finds the place of each in its file. No problem that it returns shows a secret of the files.
pub(crate) struct Problems<'a> {
    sources: &'a [Source],
    variables: Option<&'a Variables>,
    found: Vec<(usize, Problem)>,
    /// Entities that were read only in part: what they lack is not a problem.
    partial: HashSet<(usize, TreePath)>,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(sources: &'a [Source]) -> Self {
        Self { sources, variables: None, found: Vec::new(), partial: HashSet::new() }
    }

    /// The same, for files with these variables. A problem with a value that needs a variable which is not set is dropped, because it would be
    /// about the placeholder.
    pub(crate) fn with(self, variables: &'a Variables) -> Self {
        Self { variables: Some(variables), ..self }
    }

    /// From now on, problems with one of these entities as a whole are dropped: what it lacks may be in a part that did not fit.
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

    /// Like `add`, but even if the value needs a variable that is not set.
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

    /// The result of a check, or a problem with the value at `spot`.
    pub(crate) fn keep<T>(&mut self, spot: &Spot, checked: Result<T, Flaw>) -> Option<T> {
        checked.map_err(|Flaw { message, hint, .. }| self.add(spot, message, hint)).ok()
    }

    /// A problem whose place is not that of a value, but of a key or a syntax error.
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
        Some(Report { problems: told.collect(), warnings: Vec::new() })
    }
}
