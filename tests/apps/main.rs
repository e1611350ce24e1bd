//! The extension under programs that others wrote: drivers of other languages, a pooler.

mod examples;
mod pooler;
