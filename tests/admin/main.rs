//! The admin page in a browser that others wrote, in front of a real database.

mod accessibility;
mod browser;
mod devtools;
mod editing;
mod guide;
mod keyboard;
mod languages;
mod list;
mod outages;
mod page;
mod screenshots;
mod sessions;
mod strangers;
mod trying;
mod typing;
mod venue;
