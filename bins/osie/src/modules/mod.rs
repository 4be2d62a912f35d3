//! Which kernel modules a machine needs, and in which order: the tables of `depmod`, read without I/O.

mod alias;
mod dependency;

pub use alias::{AliasTable, glob_match};
pub use dependency::{DependencyTable, ModuleError, module_name};
