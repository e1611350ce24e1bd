//! Tables, on the terminal as they come and in the page at the end, and what fails the run.

use crate::rounds::Spread;
use std::collections::BTreeMap;
use std::fmt::Write;

#[derive(Default)]
pub struct Report {
    /// The page's parts, by the names that they have in its template.
    parts: BTreeMap<&'static str, String>,
    images: Vec<(&'static str, String)>,
    failures: Vec<String>,
}

impl Report {
    /// A word or a number of the page.
    pub fn note(&mut self, name: &'static str, word: impl ToString) {
        self.parts.insert(name, word.to_string());
    }

    /// A table, which the terminal shows at once.
    pub fn add(&mut self, name: &'static str, markdown: String) {
        println!("\n{markdown}");
        self.parts.insert(name, markdown);
    }

    pub fn add_image(&mut self, file: &'static str, svg: String) {
        self.images.push((file, svg));
    }

    pub fn images(&self) -> &[(&'static str, String)] {
        &self.images
    }

    /// Something that must hold on any machine.
    pub fn require(&mut self, holds: bool, failure: String) {
        if !holds {
            self.failures.push(failure);
        }
    }

    /// The template with its `{{names}}` filled in.
    pub fn page(&self, template: &str) -> String {
        let mut page = template.to_owned();
        for (name, markdown) in &self.parts {
            page = page.replace(&format!("{{{{{name}}}}}"), markdown.trim_end());
        }
        assert!(!page.contains("{{"), "the template wants what was not measured: {page}");
        page
    }

    pub fn failures(&self) -> &[String] {
        &self.failures
    }
}

/// A table in Markdown, its columns aligned for the terminal's sake.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count(), 3]).max().unwrap_or(0)
    };
    let mut text = String::new();
    let mut line = |cells: [&str; N], fill: char| {
        for (column, cell) in cells.iter().enumerate() {
            let missing = width(column).saturating_sub(cell.chars().count());
            let padding: String = std::iter::repeat_n(fill, missing).collect();
            write!(text, "| {cell}{padding} ").unwrap();
        }
        text.push_str("|\n");
    };
    line(head, ' ');
    line([""; N], '-');
    for row in rows {
        line(row.each_ref().map(String::as_str), ' ');
    }
    text
}

/// One line of a table of targets: a ratio, and what it should be.
pub struct Target {
    what: String,
    ratio: Spread,
    bound: Option<Bound>,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    pub fn at_most(what: impl Into<String>, ratio: Spread, bound: f64) -> Self {
        Self { what: what.into(), ratio, bound: Some(Bound::AtMost(bound)) }
    }

    pub fn at_least(what: impl Into<String>, ratio: Spread, bound: f64) -> Self {
        Self { what: what.into(), ratio, bound: Some(Bound::AtLeast(bound)) }
    }

    /// For comparison: it has no target.
    pub fn shown(what: impl Into<String>, ratio: Spread) -> Self {
        Self { what: what.into(), ratio, bound: None }
    }

    fn row(&self) -> [String; 5] {
        let Spread { median, least, most } = self.ratio;
        let (target, reached) = match self.bound {
            Some(Bound::AtMost(bound)) => (format!("≤ {bound}"), yes_no(median <= bound)),
            Some(Bound::AtLeast(bound)) => (format!("≥ {bound}"), yes_no(median >= bound)),
            None => (String::new(), String::new()),
        };
        let spread = format!("{least:.2}–{most:.2}");
        [self.what.clone(), format!("{median:.2}"), spread, target, reached]
    }
}

pub fn targets(targets: &[Target]) -> String {
    let rows: Vec<_> = targets.iter().map(Target::row).collect();
    table(["what : to what", "ratio", "of the rounds", "target", "reached"], &rows)
}

pub fn yes_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_markdown() {
        let text = table(["what", "n"], &[["µs".to_owned(), "12.34".to_owned()]]);
        assert_eq!(text, "| what | n     |\n| ---- | ----- |\n| µs   | 12.34 |\n");
    }

    #[test]
    fn a_page_has_all_its_parts() {
        let mut report = Report::default();
        report.add("a", "A\n".to_owned());
        assert_eq!(report.page("# {{a}}\n"), "# A\n");
    }
}
