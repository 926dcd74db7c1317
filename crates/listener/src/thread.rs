//! A thread that serves: it has its runtime before it counts as started.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// Starts a thread with a runtime of its own, and returns once the thread has it: a runtime needs descriptors, and a process that says that it
/// is ready must not lack them a moment later. `set_up` sets up the runtime; `run` gets it on the thread, and its result is the thread's.
///
/// # Errors
/// If the operating system gives no thread, or no descriptors for the runtime.
pub fn with_runtime(
    name: String,
    set_up: impl FnOnce(&mut Builder),
    run: impl FnOnce(LocalRuntime) -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all();
    set_up(&mut builder);
    let (begun, has_begun) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let runtime = builder.build_local(LocalOptions::default())?;
        // Whoever started this thread waits for it.
        let _ = begun.send(());
        run(runtime)
    })?;
    match has_begun.recv() {
        Ok(()) => Ok(thread),
        Err(_) => Err(match thread.join() {
            Ok(Err(error)) => error,
            _ => io::Error::other("the thread panicked as it began"),
        }),
    }
}
