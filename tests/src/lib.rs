//! What the whole-system tests are made with.
//!
//! A [`Department`] is a real server in a process of its own, on loopback, with keys made on the
//! spot. Handsets come in two kinds. A [`Handset`] is the product: the agent's core on its real
//! adapters. A [`RawHandset`] has an enrolled key and no scruples: it sends whatever a test asks
//! for. An [`Interceptor`] stands between a handset and the server with the server's own
//! certificate, and loses or alters what passes.
//!
//! Nothing here sleeps: [`wait`] asks for a condition until it holds or a deadline has passed.

pub mod bench;
pub mod cli;
pub mod client;
pub mod department;
pub mod faults;
pub mod fleet;
pub mod handset;
pub mod interceptor;
pub mod liar;
pub mod needs;
pub mod pki;
pub mod preload;
pub mod program;
pub mod progress;
pub mod proxy;
pub mod raw;
pub mod scan;
pub mod simulate;
pub mod small_disk;
pub mod terminal;
pub mod torture;
pub mod wait;

pub use cli::AgentCli;
pub use client::{Connection, Failure, Reply};
pub use department::Department;
pub use handset::Handset;
pub use interceptor::Interceptor;
pub use liar::Liar;
pub use program::{Outcome, Program};
pub use proxy::Proxy;
pub use raw::RawHandset;
pub use small_disk::SmallDisk;
pub use terminal::Terminal;
