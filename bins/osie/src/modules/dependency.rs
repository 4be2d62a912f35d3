//! `modules.dep`: which module must be loaded before which.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::MODULE_DEPTH;

/// The table `modules.dep` (modules.dep(5)): every module's file and the files of what it depends on.
#[derive(Debug, Clone, Default)]
pub struct DependencyTable {
    modules: BTreeMap<String, Module>,
}

#[derive(Debug, Clone)]
struct Module {
    path: String,
    needs: Vec<String>,
}

/// A module that cannot be put into a loading order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The table does not name it.
    #[error("modules.dep names no module `{module}`; it may be built into this kernel or left out of it")]
    Unknown {
        /// The normalised name.
        module: String,
    },
    /// Dependencies that lead back to themselves or stand too deep.
    #[error("the dependencies of module `{module}` do not end; modules.dep is damaged, run depmod again")]
    Endless {
        /// The normalised name.
        module: String,
    },
}

impl DependencyTable {
    /// Reads the text of `modules.dep`: `PATH: PATH PATH ..` a line; lines of another form are skipped.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let modules = lines.map(|(path, needs)| {
            let needs = needs.split_ascii_whitespace().map(module_name).collect();
            (module_name(path), Module { path: path.trim().to_owned(), needs })
        });
        Self { modules: modules.collect() }
    }

    /// Whether the table names `module` (any spelling).
    pub fn contains(&self, module: &str) -> bool {
        self.modules.contains_key(&module_name(module))
    }

    /// The file of `module`, relative to the directory of the table.
    pub fn path(&self, module: &str) -> Option<&str> {
        self.modules.get(&module_name(module)).map(|module| module.path.as_str())
    }

    /// `wanted` and all that they depend on, by normalised name, each after what it needs and none twice.
    ///
    /// # Errors
    /// A module that the table does not name, or whose dependencies do not end.
    pub fn load_order<S: AsRef<str>>(
        &self,
        wanted: impl IntoIterator<Item = S>,
    ) -> Result<Vec<String>, ModuleError> {
        let mut order = Vec::new();
        let mut done = BTreeSet::new();
        for module in wanted {
            self.visit(&module_name(module.as_ref()), 0, &mut done, &mut order)?;
        }
        Ok(order)
    }

    /// The table's own text again, holding only `modules` and with every file at `directory/NAME.ko`.
    pub fn render(&self, modules: &[String], directory: &str) -> String {
        let file = |name: &str| format!("{directory}/{name}.ko");
        let known = modules.iter().filter_map(|name| Some((name, self.modules.get(name)?)));
        known
            .map(|(name, module)| {
                let needs = module.needs.iter().map(|need| format!(" {}", file(need))).collect::<String>();
                format!("{}:{needs}\n", file(name))
            })
            .collect()
    }

    fn visit(
        &self,
        name: &str,
        depth: usize,
        done: &mut BTreeSet<String>,
        order: &mut Vec<String>,
    ) -> Result<(), ModuleError> {
        if done.contains(name) {
            return Ok(());
        }
        if depth > MODULE_DEPTH {
            return Err(ModuleError::Endless { module: name.to_owned() });
        }
        let module =
            self.modules.get(name).ok_or_else(|| ModuleError::Unknown { module: name.to_owned() })?;
        for need in &module.needs {
            self.visit(need, depth + 1, done, order)?;
        }
        done.insert(name.to_owned());
        order.push(name.to_owned());
        Ok(())
    }
}

/// The kernel's name of a module: the file's name up to `.ko`, with `_` for every `-`.
pub fn module_name(path: &str) -> String {
    let file = path.trim().rsplit('/').next().unwrap_or_default();
    let stem = file.split_once(".ko").map_or(file, |(stem, _)| stem);
    stem.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/net/core/failover.ko:
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/drivers/net/virtio_net.ko.xz: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko
kernel/drivers/char/hw_random/virtio-rng.ko:
kernel/a.ko: kernel/b.ko
kernel/b.ko: kernel/a.ko
kernel/c.ko: kernel/absent.ko
";

    #[test]
    fn a_module_comes_after_what_it_needs_and_none_twice() {
        let table = DependencyTable::parse(DEP);
        let cases: &[(&[&str], &[&str])] = &[
            (&["failover"], &["failover"]),
            (&["virtio_net"], &["failover", "net_failover", "virtio_net"]),
            (&["net-failover", "virtio_net"], &["failover", "net_failover", "virtio_net"]),
            (&["virtio-rng"], &["virtio_rng"]),
            (&[], &[]),
        ];
        for (wanted, expected) in cases {
            assert_eq!(table.load_order(*wanted).unwrap(), *expected, "{wanted:?}");
        }
    }

    #[test]
    fn a_module_that_is_unknown_or_depends_on_itself_is_refused_by_name() {
        let table = DependencyTable::parse(DEP);
        let unknown = |name: &str| ModuleError::Unknown { module: name.to_owned() };
        assert_eq!(table.load_order(["e1000"]), Err(unknown("e1000")));
        assert_eq!(table.load_order(["c"]), Err(unknown("absent")));
        assert!(matches!(table.load_order(["a"]), Err(ModuleError::Endless { .. })));
    }

    #[test]
    fn a_rendered_table_reads_back_with_plain_files_in_one_directory() {
        let table = DependencyTable::parse(DEP);
        let order = table.load_order(["virtio_net"]).unwrap();
        let again = DependencyTable::parse(&table.render(&order, "kernel"));
        assert_eq!(again.load_order(["virtio_net"]).unwrap(), order);
        assert_eq!(again.path("virtio_net"), Some("kernel/virtio_net.ko"));
        assert!(!again.contains("virtio_rng"));
    }
}
