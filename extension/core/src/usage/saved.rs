//! Counts that were not written when the server stopped, as a line of text each, for its next
//! start.

use super::{Counts, KeyId, LastUse, Usage};

/// What stands for a key that was not used, or an address that is not known.
const NOTHING: &str = "-";

impl Usage {
    /// `DATABASE PREFIX ACCEPTED REFUSED TIME ADDRESS`
    pub fn to_line(self) -> String {
        let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
        format!(
            "{} {} {} {} {} {}",
            self.key.database,
            self.key.prefix(),
            self.counts.accepted,
            self.counts.refused,
            or_nothing(self.last_use.map(|used| used.at.to_string())),
            or_nothing(self.last_use.and_then(|used| used.from).map(|from| from.to_string())),
        )
    }

    /// `None` for a line that is not of that form.
    pub fn from_line(line: &str, generation: i64) -> Option<Self> {
        let words: Vec<_> = line.split(' ').collect();
        let [database, prefix, accepted, refused, at, from] = words.try_into().ok()?;
        let last_use = match at {
            NOTHING => None,
            at => Some(LastUse {
                at: at.parse().ok()?,
                from: if from == NOTHING { None } else { Some(from.parse().ok()?) },
            }),
        };
        let counts = Counts { accepted: accepted.parse().ok()?, refused: refused.parse().ok()? };
        let is_count = counts.accepted >= 0 && counts.refused >= 0;
        let key = KeyId::new(database.parse().ok()?, prefix)?;
        is_count.then_some(Self { key, generation, counts, last_use })
    }
}
