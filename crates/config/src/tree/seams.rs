//! The elements of long lists as they are met while a text is read, and those that the text was left without.

use super::{Node, Place, TreePath};

/// An element of a run that is in the text which is read.
pub(super) struct Seam {
    /// Where it begins.
    pub(super) place: Place,
    /// The run that it belongs to.
    pub(super) run: usize,
    /// Which of the run's elements it is; those left out count.
    pub(super) index: usize,
    /// The elements directly before it that the text was left without.
    pub(super) left_out: Vec<LeftOut>,
}

/// An element that was read before, and stays as it is.
pub(super) struct LeftOut {
    pub(super) node: Node,
    /// How many values it has, keys included.
    pub(super) values: usize,
    /// In how many lists and mappings it was.
    pub(super) depth: usize,
}

/// The list that the elements of a run are in.
pub(super) struct Met {
    /// Where the list is.
    pub(super) path: TreePath,
    /// The place of the list.
    pub(super) list: Place,
    /// In how many lists and mappings its elements are, itself included.
    pub(super) depth: usize,
    /// The index of the run's first element in the list.
    pub(super) first: usize,
    /// How many of the run's elements were met, those left out included.
    pub(super) count: usize,
    /// How many values each of these has, as far as it is known: not for the last one.
    pub(super) values: Vec<usize>,
    /// How many values the text had before the element that was met last.
    pub(super) before_last: usize,
}

/// All seams of a text, in their order.
#[derive(Default)]
pub(super) struct Seams {
    seams: std::vec::IntoIter<Seam>,
    next: Option<Seam>,
    /// By run; `None` if it is not the elements of a list.
    pub(super) met: Vec<Option<Met>>,
    /// Whether something is not as it would be in the whole text.
    pub(super) failed: bool,
}

impl Seams {
    /// For a text with these seams of so many runs.
    pub(super) fn new(seams: Vec<Seam>, runs: usize) -> Self {
        let mut seams = seams.into_iter();
        let next = seams.next();
        Self { seams, next, met: (0..runs).map(|_| None).collect(), failed: false }
    }

    /// The seam where a value begins, if there is one. Values are asked for in the order in which they begin.
    pub(super) fn due(&mut self, at: Place, is_element: bool) -> Option<Seam> {
        while self.next.as_ref().is_some_and(|next| next.place < at) {
            self.pass();
        }
        let next = self.next.as_ref()?;
        if next.place == at {
            // The parser says of some lists that they begin where their first element does.
            if !is_element {
                return None;
            }
            return std::mem::replace(&mut self.next, self.seams.next());
        }
        // The place of some absent values is that of the next token, which may have been left out.
        self.failed |= next.place.line <= at.line && !next.left_out.is_empty();
        None
    }

    /// Goes on without the next seam, where no element begins.
    pub(super) fn pass(&mut self) {
        if let Some(seam) = std::mem::replace(&mut self.next, self.seams.next()) {
            self.miss(&seam);
        }
    }

    /// An element begins in a list: its run goes on, and the elements that were left out are put in. `path` is that of the list; `values` is
    /// how many the text has had so far.
    pub(super) fn meet(
        &mut self,
        seam: Seam,
        (list, depth): (Place, usize),
        path: impl FnOnce() -> Option<TreePath>,
        items: &mut Vec<Node>,
        values: &mut usize,
    ) {
        let met = &mut self.met[seam.run];
        if let (None, 0, Some(path)) = (&met, seam.index, path()) {
            let (values, first) = (Vec::new(), items.len());
            *met = Some(Met { path, list, depth, first, count: 0, values, before_last: 0 });
        }
        let goes_on = |met: &&mut Met| {
            let is_next = met.count + seam.left_out.len() == seam.index;
            is_next && (met.list, met.depth, met.first + met.count) == (list, depth, items.len())
        };
        let Some(met) = met.as_mut().filter(goes_on) else { return self.miss(&seam) };
        if met.count > 0 {
            met.values.push(*values - met.before_last);
        }
        met.count = seam.index + 1;
        for LeftOut { node, values: count, depth: was } in seam.left_out {
            self.failed |= was != depth;
            met.values.push(count);
            *values += count;
            items.push(node);
        }
        met.before_last = *values;
    }

    /// A run whose elements are not those of one list.
    pub(super) fn miss(&mut self, seam: &Seam) {
        self.met[seam.run] = None;
        self.failed |= !seam.left_out.is_empty();
    }

    /// At the end of the text.
    pub(super) fn end(&mut self) {
        while self.next.is_some() {
            self.pass();
        }
    }
}
