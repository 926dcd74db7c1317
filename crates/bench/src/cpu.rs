//! The processes' own accounting of CPU time, from `/proc`.
//!
//! A process is counted with all its threads, those that have ended included. Kernel threads that work for disks are counted apart:
//! what they do for the measured process cannot be told from what they do for others, so it is right only on a quiet machine.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Kernel threads that write to disks, by the beginnings of their names.
const DISK: [&str; 7] = ["kworker", "jbd2", "kblockd", "xfsaild", "dm-", "btrfs", "nvme"];
/// The flag of kernel threads in `/proc/PID/stat`.
const PF_KTHREAD: u64 = 0x0020_0000;

/// CPU time used so far, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// The process with all its threads.
    pub process: f64,
    /// Its living threads, added up by name.
    pub threads: BTreeMap<String, f64>,
    /// The disks' kernel threads.
    pub disk: f64,
}

impl Usage {
    /// As it stands now.
    pub fn now(pid: u32) -> Result<Self, String> {
        let gone = || format!("process {pid} is gone");
        let process = read(&format!("/proc/{pid}/stat")).ok_or_else(gone)?.micros;
        let mut threads = BTreeMap::new();
        for stat in entries(&format!("/proc/{pid}/task")) {
            *threads.entry(stat.name).or_default() += stat.micros;
        }
        let disk = |stat: &Stat| {
            stat.flags & PF_KTHREAD != 0 && DISK.iter().any(|start| stat.name.starts_with(start))
        };
        let disk = entries("/proc").filter(disk).map(|stat| stat.micros).sum();
        Ok(Self { process, threads, disk })
    }

    /// What was used since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let threads = self.threads.iter().map(|(name, micros)| {
            (name.clone(), micros - before.threads.get(name).copied().unwrap_or_default())
        });
        Self {
            process: self.process - before.process,
            threads: threads.collect(),
            disk: self.disk - before.disk,
        }
    }
}

/// Waits until a process has used next to nothing for a tenth of a second, or the time is over.
pub async fn quiet(pid: u32, patience: Duration) {
    let deadline = Instant::now() + patience;
    let mut before = f64::MIN;
    while let Some(stat) = read(&format!("/proc/{pid}/stat"))
        && Instant::now() < deadline
    {
        if stat.micros - before <= 10_000.0 {
            return;
        }
        before = stat.micros;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Resident memory in MiB.
pub fn resident(pid: u32) -> Result<f64, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| error.to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| format!("process {pid} tells no memory"))
}

struct Stat {
    name: String,
    flags: u64,
    micros: f64,
}

/// The `stat` of every numbered entry of a folder.
fn entries(folder: &str) -> impl Iterator<Item = Stat> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
        read(entry.path().join("stat").to_str()?)
    })
}

fn read(path: &str) -> Option<Stat> {
    parse(&fs::read_to_string(path).ok()?, rustix::param::clock_ticks_per_second())
}

/// The name stands in parentheses and may hold anything.
fn parse(text: &str, ticks_per_second: u64) -> Option<Stat> {
    let (before, after) = text.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let ticks = number(11)? + number(12)?;
    let micros = ticks as f64 * 1e6 / ticks_per_second as f64;
    Some(Stat { name: name.to_owned(), flags: number(6)?, micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_of_stat_whatever_the_name() {
        let line = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 1 1";
        let stat = parse(line, 100).unwrap();
        assert_eq!(stat.name, "a) b");
        assert_eq!(stat.micros, 3_000_000.0);
        assert_eq!(stat.flags & PF_KTHREAD, 0);
    }

    #[test]
    fn counts_this_process_and_its_threads() {
        let pid = std::process::id();
        let before = Usage::now(pid).unwrap();
        let began = Instant::now();
        let mut sum = 0u64;
        while began.elapsed() < Duration::from_millis(100) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let used = Usage::now(pid).unwrap().since(&before);
        assert!(used.process > 0.0, "{used:?}");
        assert!(!used.threads.is_empty());
        assert!(resident(pid).unwrap() > 0.1);
    }
}
