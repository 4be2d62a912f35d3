//! Process 1 of OSIE. See `bootcode_osie::init`.

fn main() {
    bootcode_osie::init::main();
}
