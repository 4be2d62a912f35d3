//! `cargo fuzz run -s none boot_loader`; without cargo fuzz, replays the files in its arguments.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bootcode_fuzz::boot_loader(bytes));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    for file in std::env::args_os().skip(1) {
        bootcode_fuzz::boot_loader(&std::fs::read(file)?);
    }
    Ok(())
}
