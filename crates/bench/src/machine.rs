//! What it was measured on, and with which versions.

use std::path::Path;
use std::process::Command;

use crate::options::Options;

/// The description, as a list in Markdown.
pub fn describe(options: &Options) -> String {
    let text = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpuinfo = text("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown", |(_, model)| model);
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let memory = text("/proc/meminfo");
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB"));
    let gib = kib.and_then(|kib| kib.trim().parse::<f64>().ok()).unwrap_or_default() / f64::from(1 << 20);
    let kernel = text("/proc/sys/kernel/osrelease");
    let load = text("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("unknown");
    let build = |binary: &Path| {
        // cargo puts what it builds into a folder of the profile's name.
        let profile = binary.parent().and_then(Path::file_name).unwrap_or_default();
        let version = version(&binary.display().to_string(), "version");
        format!("{version}, profile `{}`", profile.display())
    };
    let retrohook = build(&options.programs.retrohook);
    let other = options.programs.other.as_deref();
    let other = other.map(|other| format!(" against {}", build(other))).unwrap_or_default();
    let nginx = version(&options.programs.wrapped("nginx"), "-v");
    let haproxy = version(&options.programs.wrapped("haproxy"), "-v");
    format!(
        "* {model}, {cores} cores, {gib:.0} GiB, Linux {}\n* {retrohook}{other} · {nginx} · {haproxy}\n\
         * runs: {} of {:.1} s, medians; {} connections; load of the machine at the start {load}\n",
        kernel.trim(),
        options.runs,
        options.time.as_secs_f64(),
        options.connections
    )
}

/// The first line of what a program says of itself.
fn version(program: &str, word: &str) -> String {
    let output = Command::new(program).arg(word).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or("unknown");
    line.split(" - ").next().unwrap_or(line).trim_start_matches("nginx version: ").to_owned()
}
