//! The operating system's random source, the only one that keys and salts are drawn from.

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random source failed: {0}")]
pub struct NoRandomness(#[from] getrandom::Error);

pub(crate) fn fill(buffer: &mut [u8]) -> Result<(), NoRandomness> {
    Ok(getrandom::fill(buffer)?)
}
