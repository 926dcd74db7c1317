//! A gateway whose data is on a small disk: a `tmpfs` in a mount namespace of its own, and whatever fills it.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::scene::Scene;
use crate::{tools, wait};

/// Starts a prepared scene with its data on a disk of this size, `4m`. Returns where ballast can be put on that disk.
///
/// # Panics
/// If there is no `unshare`, or the gateway does not start.
#[track_caller]
pub fn start(scene: &mut Scene, size: &str) -> PathBuf {
    let data = scene.setup.data_dir();
    std::fs::create_dir_all(&data).expect("a temporary directory");
    let unshare = tools::find("UNSHARE", "unshare").to_string_lossy().into_owned();
    let mount = format!("mount -t tmpfs -o size={size} tmpfs '{}' && exec \"$0\" \"$@\"", data.display());
    scene.setup.wrapper = vec![unshare, "-Urm".into(), "sh".into(), "-c".into(), mount];
    scene.start_gateway();
    PathBuf::from(format!("/proc/{}/root{}/ballast", scene.gateway().pid(), data.display()))
}

/// Takes whatever space there is, until it is stopped: a log that is moved into the database leaves some behind.
pub struct Filler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    ballast: PathBuf,
}

impl Filler {
    /// Fills the disk of this file. Returns when it is full for the first time.
    ///
    /// # Panics
    /// If the file cannot be made, or the disk does not become full.
    #[track_caller]
    pub fn start(ballast: PathBuf) -> Self {
        let (stop, is_full) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (stopped, full) = (stop.clone(), is_full.clone());
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&ballast);
        let mut file = file.expect("a file on the gateway's disk");
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if file.write_all(&[b'x'; 4_096]).is_err() {
                    full.store(true, Ordering::Relaxed);
                    wait::pause(Duration::from_millis(1));
                }
            }
        });
        wait::until("the disk to be full", || is_full.load(Ordering::Relaxed).then_some(()));
        Self { stop, thread, ballast }
    }

    /// Gives the space back.
    ///
    /// # Panics
    /// If somebody else has removed the file.
    #[track_caller]
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the filler ends");
        std::fs::remove_file(self.ballast).expect("the ballast is there");
    }
}
