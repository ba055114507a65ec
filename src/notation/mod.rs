//! How the project's own files are written: durations such as `15s`, sizes such as `64MiB`, hashes, and TOML whose errors
//! say where, what was found, what was expected and which key was probably meant.
//!
//! Text comes in, values or explained errors go out; nothing here knows what the values are for.

mod digest;
mod duration;
mod size;
mod toml_text;

pub use digest::sha256_hex;
pub use duration::{duration, parse_duration, show_duration, some_duration};
pub use size::parse_size;
pub use toml_text::{Key, TomlError, nearest, read_toml};
