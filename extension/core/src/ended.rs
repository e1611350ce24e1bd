//! Whether a key has ended, and how that is called.

/// In the order that decides, where several are true: a revoked key never comes back, and an
/// expired one is not brought back by enabling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Revoked,
    Expired,
    Disabled,
}

/// The columns of a row that end its key, in Postgres's microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub revoked_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub disabled_at: Option<i64>,
}

impl Ends {
    /// `None`: the key is live. The clock is read for a key with an end alone.
    pub fn ended(self, now: impl FnOnce() -> i64) -> Option<Ended> {
        if self.revoked_at.is_some() {
            Some(Ended::Revoked)
        } else if self.expires_at.is_some_and(|end| end <= now()) {
            Some(Ended::Expired)
        } else if self.disabled_at.is_some() {
            Some(Ended::Disabled)
        } else {
            None
        }
    }
}

impl Ended {
    pub fn name(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_true_counts_and_an_end_counts_once_it_has_come() {
        const NOW: i64 = 7;
        let times = [None, Some(i64::MIN), Some(NOW), Some(NOW + 1), Some(i64::MAX)];
        for revoked_at in times {
            for expires_at in times {
                for disabled_at in times {
                    let all = [
                        (revoked_at.is_some(), Ended::Revoked),
                        ([Some(i64::MIN), Some(NOW)].contains(&expires_at), Ended::Expired),
                        (disabled_at.is_some(), Ended::Disabled),
                    ];
                    let first = all.into_iter().find_map(|(is, ended)| is.then_some(ended));
                    let ends = Ends { revoked_at, expires_at, disabled_at };
                    assert_eq!(ends.ended(|| NOW), first, "{ends:?}");
                }
            }
        }
    }
}
