//! Random names: of sessions, of forms, and what a form has to bring along.

use std::fmt::Write;

use subtle::ConstantTimeEq;

use crate::error::Error;

/// 256 bits from the operating system, in hexadecimal.
pub fn random() -> Result<String, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(&error))?;
    Ok(bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

pub fn has_shape(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Compares in a time that does not tell how much of it was right.
pub fn same(one: &str, other: &str) -> bool {
    has_shape(one) && one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_only_the_whole_one_is_the_same() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert!(has_shape(&one) && one != other);
        assert!(same(&one, &one.clone()));
        for wrong in ["", &one[1..], &other, &one.to_uppercase(), &format!("{one}0")] {
            assert!(!same(wrong, &one), "{wrong}");
        }
        assert!(!same("", ""), "an empty token is none");
    }
}
