//! Running programs, by `sysinfo`.

use std::collections::BTreeSet;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::RunningPrograms;

/// The kernel's own table.
///
/// It cannot be asked for one name: of each process `stat` and `status` are read, the name is
/// compared, and all is let go. Threads, command lines, environments and paths are not asked for.
pub(super) struct KernelTable;

impl RunningPrograms for KernelTable {
    fn running(&self, wanted: &BTreeSet<&str>) -> BTreeSet<String> {
        if wanted.is_empty() {
            return BTreeSet::new();
        }
        // Without a table nothing is seen, which is never ground for `absent`.
        let Ok(mut system) = System::new() else {
            return BTreeSet::new();
        };
        let names_only = ProcessRefreshKind::nothing().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, names_only);
        let names = system
            .processes()
            .values()
            .filter_map(|process| process.name().to_str());
        names
            .filter(|name| wanted.contains(name))
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_that_runs_only_the_wanted_names_come_back() {
        let name = std::fs::read_to_string("/proc/self/comm").unwrap();
        let name = name.trim_end();
        let wanted = BTreeSet::from([name, "no-such-program"]);
        assert_eq!(
            KernelTable.running(&wanted),
            BTreeSet::from([name.to_owned()])
        );
        assert_eq!(
            KernelTable.running(&BTreeSet::from(["no-such-program"])),
            BTreeSet::new()
        );
        assert_eq!(KernelTable.running(&BTreeSet::new()), BTreeSet::new());
    }
}
