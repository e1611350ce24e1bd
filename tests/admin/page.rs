//! A page under the eyes and hands of a person: what is read, typed and pressed.

use crate::browser::Browser;
use fantoccini::Locator;
use fantoccini::elements::Element;

impl Browser {
    // --- by CSS

    #[track_caller]
    pub fn find(&self, css: &str) -> Element {
        self.wait(self.client.find(Locator::Css(css)))
    }

    pub fn all(&self, css: &str) -> Vec<Element> {
        self.wait(self.client.find_all(Locator::Css(css)))
    }

    #[track_caller]
    pub fn text_of(&self, css: &str) -> String {
        self.wait(self.find(css).text())
    }

    #[track_caller]
    pub fn attribute(&self, css: &str, name: &str) -> String {
        self.wait(self.find(css).attr(name)).unwrap_or_default()
    }

    #[track_caller]
    pub fn value_of(&self, css: &str) -> String {
        self.wait(self.find(css).prop("value")).unwrap_or_default()
    }

    #[track_caller]
    pub fn click(&self, css: &str) {
        self.wait(self.find(css).click());
    }

    /// A link or button that leads to another page.
    #[track_caller]
    pub fn follow(&self, css: &str) {
        self.turning(|| self.click(css));
    }

    /// Sends the first form of the page proper that is posted.
    #[track_caller]
    pub fn submit(&self) {
        self.follow("main form[method=post] button[type=submit]");
    }

    /// Types into the field of this name, in place of what is there.
    #[track_caller]
    pub fn write(&self, name: &str, text: &str) {
        self.type_into(&self.find(&format!("[name='{name}']")), text);
    }

    #[track_caller]
    fn type_into(&self, field: &Element, text: &str) {
        self.wait(field.clear());
        self.wait(field.send_keys(text));
    }

    // --- by what is written there

    /// The link or button with these words, which leads to another page.
    #[track_caller]
    pub fn press(&self, words: &str) {
        self.turning(|| self.press_here(words));
    }

    /// One that does not.
    #[track_caller]
    pub fn press_here(&self, words: &str) {
        let words = quoted(words);
        let path = format!("(//a | //button | //summary)[normalize-space() = {words}]");
        self.wait(self.wait(self.client.find(Locator::XPath(&path))).click());
    }

    /// The field with this label.
    #[track_caller]
    pub fn field(&self, label: &str) -> Element {
        let label = quoted(label);
        let path = format!(
            "//*[@id = //label[normalize-space() = {label}]/@for] | //label[normalize-space() = {label}]//input"
        );
        self.wait(self.client.find(Locator::XPath(&path)))
    }

    /// Types into the field with this label, in place of what is there.
    #[track_caller]
    pub fn fill(&self, label: &str, text: &str) {
        self.type_into(&self.field(label), text);
    }

    #[track_caller]
    pub fn tick(&self, label: &str) {
        let field = self.field(label);
        self.wait(field.click());
        assert!(self.wait(field.is_selected()), "{label} is not ticked");
    }

    // --- by keyboard

    /// Types to whatever has the focus.
    #[track_caller]
    pub fn keys(&self, keys: &str) {
        self.wait(self.wait(self.client.active_element()).send_keys(keys));
    }

    /// The key that sends a form or follows a link.
    #[track_caller]
    pub fn enter(&self) {
        self.turning(|| self.keys("\u{e007}"));
    }

    /// The accessible name of what has the focus.
    pub fn focus(&self) -> String {
        let script = "const e = document.activeElement;
            const text = e.labels?.[0] ?? e;
            return (e.getAttribute('aria-label') ?? text.innerText).trim()";
        self.script(script).as_str().unwrap_or_default().to_owned()
    }

    /// Whether something is drawn around what has the focus.
    pub fn focus_is_visible(&self) -> bool {
        let script = "const e = document.activeElement, s = getComputedStyle(e);
            return e.matches(':focus-visible') && s.outlineStyle != 'none' && parseFloat(s.outlineWidth) >= 2";
        self.script(script) == true
    }

    /// What reaches beyond the right edge of the window, outermost first.
    pub fn what_sticks_out(&self) -> String {
        let script = "const wide = document.documentElement.clientWidth;
            return [...document.querySelectorAll('body *')]
                .filter(e => e.getBoundingClientRect().right > wide + 1)
                .slice(0, 5).map(e => e.outerHTML.slice(0, 120)).join(' … ')";
        self.script(script).as_str().unwrap_or_default().to_owned()
    }
}

/// A text as XPath writes it.
fn quoted(text: &str) -> String {
    let quote = if text.contains('"') { '\'' } else { '"' };
    format!("{quote}{text}{quote}")
}
