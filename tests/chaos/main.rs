//! Faults under load, as production has them. What must hold through each: a key that is wrong or revoked is never accepted, a good
//! one is never refused (503 is not a refusal), and two seconds after the fault is over all is as before.

mod frozen;
mod hosts;
mod kills;
mod pooler;
mod scene;
