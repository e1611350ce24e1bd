//! A lock of Postgres's own, between processes.

use pgrx::pg_sys::{self, LWLock, LWLockMode};

/// Held until it is dropped. Interrupts wait for that.
pub struct Lock(*mut LWLock);

impl Lock {
    pub fn shared(lock: *mut LWLock) -> Self {
        Self::acquire(lock, LWLockMode::LW_SHARED)
    }

    pub fn exclusive(lock: *mut LWLock) -> Self {
        Self::acquire(lock, LWLockMode::LW_EXCLUSIVE)
    }

    fn acquire(lock: *mut LWLock, mode: LWLockMode::Type) -> Self {
        // SAFETY: the lock of our tranche, in a process that is attached to shared memory.
        unsafe { pg_sys::LWLockAcquire(lock, mode) };
        Self(lock)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // SAFETY: acquired above, and nothing under it raises an error, which would have released
        // it.
        unsafe { pg_sys::LWLockRelease(self.0) };
    }
}
