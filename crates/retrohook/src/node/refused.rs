//! What a start says of a port that it does not get, and of a disk that has no room for it: what the system refused, and what to do.

use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use event::size::Size;
use storage::StoreError;
use stores::sqlite::OpenError;

/// What a start writes at most, beside moving what the last run left in its log into the database.
const NEEDED: u64 = 2 << 20;

/// What to do about an address that cannot be listened on.
pub fn unbound(setting: &str, address: SocketAddr, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!("stop what listens there, or change {setting}"),
        ErrorKind::AddrNotAvailable => format!(
            "this machine has no such address: change {setting}; {} is all that it has",
            if address.is_ipv6() { "[::]" } else { "0.0.0.0" }
        ),
        ErrorKind::PermissionDenied if address.port() < 1_024 => format!(
            "this user may not use ports below 1024. Give the program the right (`setcap cap_net_bind_service=+ep {}`, or \
             `AmbientCapabilities=CAP_NET_BIND_SERVICE` in its systemd unit), lower the limit (`sysctl \
             net.ipv4.ip_unprivileged_port_start={}`), or take another port with {setting}",
            program(),
            address.port()
        ),
        _ => format!("change {setting}"),
    }
}

fn program() -> String {
    std::env::current_exe().map_or_else(|_| "retrohook".into(), |path| path.display().to_string())
}

/// How much room there is on the disk of the data directory, how much a start needs, and what to do.
pub fn without_room(dir: &Path, min_free: u64) -> String {
    let shown = dir.display();
    // Where it could not even be made.
    let there = dir.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("."));
    let log =
        std::fs::metadata(stores::sqlite::database(dir).with_extension("db-wal")).map_or(0, |log| log.len());
    let needed = Size(NEEDED.saturating_add(log));
    let advice = format!(
        "a start needs {needed}; to take matching requests, too, {} more have to be free (--min-free). Make room on that disk, or move the \
         whole directory to another one and name it with --data-dir. Nothing is lost",
        Size(min_free)
    );
    match rustix::fs::statvfs(there) {
        Ok(disk) if disk.f_favail == 0 && disk.f_files > 0 => {
            format!(
                "the disk of {shown} can hold no more files (its inodes are used up): delete some there; {advice}"
            )
        }
        Ok(disk) => {
            let free = Size(disk.f_bavail.saturating_mul(disk.f_frsize));
            format!(
                "the disk of {shown} has {free} free, or what this user may use of it is used up (its quota); {advice}"
            )
        }
        Err(_) => format!("the disk of {shown} is full: {advice}"),
    }
}

/// Whether it was for want of room that something failed.
pub fn is_for_want_of_room(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let is_full = matches!(error.downcast_ref(), Some(OpenError::Full { .. }))
            || matches!(error.downcast_ref(), Some(StoreError::Full(_)))
            || error.downcast_ref().is_some_and(|error: &std::io::Error| {
                matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            });
        if is_full {
            return true;
        }
        next = error.source();
    }
    false
}
