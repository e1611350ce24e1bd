//! The admin page in a browser that others wrote, in front of a real database.

mod accessibility;
mod browser;
mod devtools;
mod guide;
mod keyboard;
mod page;
mod pages;
mod screenshots;
mod strangers;
mod typing;
