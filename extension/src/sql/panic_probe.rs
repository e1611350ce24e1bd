//! A function that panics, in no library that is installed.

use pgrx::prelude::*;

#[pg_extern]
fn panic_probe() {
    panic!("the panic probe panicked");
}
