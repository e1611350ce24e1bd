//! The program. All of it is in the library, where the fuzz target finds it.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    apikey_shim::main()
}
