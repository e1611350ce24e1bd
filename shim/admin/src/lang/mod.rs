//! French and English: one file per language has all texts of all pages.

mod en;
mod fr;
mod texts;

use hyper::HeaderMap;
use hyper::header;

pub use texts::{Notice, Texts};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    French,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::French, Self::English];

    /// Its name in BCP 47.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// Its name in the language itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::French => "Français",
        }
    }

    pub fn texts(self) -> &'static Texts {
        match self {
            Self::English => &en::TEXTS,
            Self::French => &fr::TEXTS,
        }
    }

    pub fn named(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// The language that the browser likes best (RFC 9110, 12.5.4); English where it likes none of
    /// ours.
    pub fn preferred(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter();
        let ranges = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        let mut best = (Self::English, 0.0);
        for (language, quality) in ranges.filter_map(range) {
            // The first of several that are liked as much.
            if quality > best.1 {
                best = (language, quality);
            }
        }
        best.0
    }
}

/// `fr-CA;q=0.8` is French, liked by 0.8.
fn range(text: &str) -> Option<(Language, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = parts.next()?.split('-').next()?.to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q="));
    let quality = quality.map_or(Some(1.0), |quality| quality.parse().ok())?;
    Some((Language::named(&tag)?, quality))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::key_list::STATUSES;

    fn preferred(line: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, line.parse().unwrap());
        Language::preferred(&headers)
    }

    #[test]
    fn the_browsers_language() {
        for line in ["fr", "fr-CA,en;q=0.8", "en;q=0.5, fr;q=0.9", "de, fr;q=0.1", "FR-fr"] {
            assert_eq!(preferred(line), Language::French, "{line}");
        }
        for line in ["en", "en-GB,fr;q=0.9", "de", "*", "", "fr;q=0", "fr;q=x", "frx"] {
            assert_eq!(preferred(line), Language::English, "{line}");
        }
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::English);
    }

    /// The compiler sees that both have all texts. This test sees that none is empty, and that each
    /// status and action has one.
    #[test]
    fn every_language_has_words_for_everything() {
        let source =
            [(Language::English, include_str!("en.rs")), (Language::French, include_str!("fr.rs"))];
        for (language, source) in source {
            let texts = language.texts();
            let empty = source.lines().filter(|line| line.ends_with(": \"\",")).count();
            assert_eq!(empty, 0, "an empty text");
            for status in STATUSES {
                assert!(!(texts.statuses)(status).is_empty(), "{status}");
            }
            for action in
                ["create", "import", "change", "rotate", "disable", "enable", "revoke", "delete"]
            {
                assert!(!(texts.actions)(action).is_empty(), "{action}");
            }
        }
        assert_eq!(Language::French.texts().add_key, "AJOUTER API KEY");
        assert_eq!(Language::French.texts().create_revoke, "Créer / Révoquer");
        assert_eq!(
            Language::English.texts().status_of("new in a later version"),
            "new in a later version"
        );
    }
}
