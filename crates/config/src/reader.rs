//! Reading files again and again, as a node does that lives long.

use crate::check::{self, Options};
use crate::load::Text;
use crate::loaded::Config;
use crate::problem::Report;
use crate::tree::{self, Known, Shape};

/// Checks files as [`check`](crate::check) does, with the same results, and faster if they are nearly as they were the last time: what is
/// unchanged in their long lists is not parsed again.
///
/// It keeps the text and the tree of each file of the last check that has a long list, and nothing of other files. No `Debug`: these may hold
/// secrets.
#[derive(Default)]
pub struct Reader {
    /// By the file's name.
    known: Vec<(String, Known)>,
}

impl Reader {
    /// Checks the texts of files.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn check_texts(&mut self, texts: &[Text], options: &Options<'_>) -> Result<Config, Report> {
        let files: Vec<(&str, &str)> =
            texts.iter().map(|one| (one.name.as_str(), one.text.as_str())).collect();
        let mut before = std::mem::take(&mut self.known);
        let mut shapes: Vec<Shape> = Vec::new();
        let (mut sources, faults) = check::parse(&files, |file, text| {
            let known = before.iter().position(|(name, _)| name == files[file].0);
            let known = known.map(|at| before.swap_remove(at).1);
            let (read, shape) = match tree::parse_again(text, known) {
                Ok((root, shape)) => (Ok(root), shape),
                Err(faults) => (Err(faults), Shape::default()),
            };
            shapes.push(shape);
            read
        });
        drop(before);
        let checked = check::check_trees(&mut sources, &faults, options);
        for (file, (source, shape)) in sources.into_iter().zip(shapes).enumerate() {
            // A file with a fault has no tree.
            if faults.iter().all(|(faulty, _)| *faulty != file) {
                let name = source.name.clone();
                let known = Known::new(files[file].1, source.into_written(), shape);
                self.known.extend(known.map(|known| (name, known)));
            }
        }
        checked
    }
}
