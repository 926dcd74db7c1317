//! Listening on a Unix socket that only its owner can use.
//!
//! A socket file on which no process listens any more is replaced, one on which a process listens is not. The file's mode is 0600 before
//! anybody can connect. It is removed when [`Bound`] is dropped, unless there is another file at its path by then.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use socket2::{Domain, SockAddr, Socket, Type};

/// The longest path that the kernel takes, in bytes.
pub const MAX_PATH: usize = 107;
/// Connections that the kernel queues for a listener.
const BACKLOG: i32 = 1_024;

/// Why a Unix socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum UnixError {
    /// The kernel accepts no path of this length.
    #[error(
        "the path has {length} bytes and the system takes at most {MAX_PATH}: use a shorter one, like /run/retrohook/admin.sock"
    )]
    TooLong {
        /// Of the path, in bytes.
        length: usize,
    },
    /// There is a file that is not a socket.
    #[error("a file is there already and it is not a socket: remove it or choose another path")]
    NotASocket,
    /// Another process listens there, or may do so: connecting was not refused.
    #[error("another process listens there")]
    Alive,
    /// The operating system refuses.
    #[error(
        "the system refuses: {0} (the directory has to exist, and this user has to be allowed to write to it)"
    )]
    System(#[from] io::Error),
}

/// A listener with its file.
#[derive(Debug)]
pub struct Bound {
    listener: UnixListener,
    file: SocketFile,
}

impl Bound {
    /// The path of the socket's file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// One more descriptor of the listener, in non-blocking mode. The file is removed when `self` is dropped, even if the descriptor lives on.
    ///
    /// # Errors
    /// If the operating system gives no descriptor.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

/// The file of a socket; removed when dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode, by which [`Drop`] recognises it.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // By now there may be another file at the path.
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket's file: the next start will");
        }
    }
}

/// Binds a socket to a path and listens.
///
/// # Errors
/// If the path is too long, if another process listens there, if a file is there that is not a socket, or if the operating system refuses.
pub fn bind(path: &Path) -> Result<Bound, UnixError> {
    let length = path.as_os_str().len();
    if length > MAX_PATH {
        return Err(UnixError::TooLong { length });
    }
    // Two processes may start at the same time and find the file of a dead one: without the lock, the second could remove the file that the first has
    // just made.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = File::open(parent)?;
    flock(&directory, FlockOperation::LockExclusive).map_err(io::Error::from)?;
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Nobody can connect before `listen`, so the mode is right from the first connection on.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let file = SocketFile { path: path.to_owned(), identity: identity(&fs::symlink_metadata(path)?) };
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(Bound { listener: UnixListener::from(socket), file })
}

fn remove_stale(path: &Path) -> Result<(), UnixError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !found.file_type().is_socket() {
        return Err(UnixError::NotASocket);
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        // It may have gone between the two calls.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // If its backlog is full or we may not connect, a process may still listen there.
        Ok(_) | Err(_) => Err(UnixError::Alive),
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_private_and_goes_with_the_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let bound = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(UnixStream::connect(&path).is_ok());
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_ones_file_is_replaced_and_a_living_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        // A listener of the standard library leaves its file behind.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let living = bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(UnixError::Alive)));
        assert!(UnixStream::connect(&path).is_ok(), "the refused one has removed nothing");
        // One that was put in its place is not removed.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        drop(living);
        assert!(path.exists());
        assert!(matches!(bind(&path), Err(UnixError::NotASocket)));
    }

    #[test]
    fn a_path_that_the_kernel_would_not_take_is_refused_in_words() {
        let error = bind(Path::new(&format!("/tmp/{}", "x".repeat(200)))).unwrap_err();
        assert!(error.to_string().contains("205 bytes") && error.to_string().contains("107"), "{error}");
        let error = bind(Path::new("/nowhere/at/all.sock")).unwrap_err();
        assert!(error.to_string().contains("directory"), "{error}");
    }
}
