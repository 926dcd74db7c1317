//! The gateway of the demo: this very binary, in a process of its own, so that it can be killed without mercy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::DemoError;

/// How long a start may take before the demo gives up.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// What lets its webhooks reach the forum of the demo.
pub const ALLOWED: &str = "--allow-endpoints=127.0.0.1/32";

/// A gateway process with fixed addresses, so that it comes back where it was.
pub struct Gateway {
    config: PathBuf,
    data: PathBuf,
    child: Option<Child>,
    pub proxy: SocketAddr,
    pub admin: SocketAddr,
    pub legacy_admin: SocketAddr,
    pub hub: SocketAddr,
}

impl Gateway {
    /// Starts with free ports and a data directory in `place`.
    pub async fn start(place: &Path, config: &str) -> Result<Self, DemoError> {
        let file = place.join("retrohook.yaml");
        std::fs::write(&file, config).map_err(DemoError::io("write the configuration"))?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Self {
            config: file,
            data: place.join("data"),
            child: None,
            proxy: any,
            admin: any,
            legacy_admin: any,
            hub: any,
        };
        gateway.launch().await?;
        Ok(gateway)
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).unwrap_or(0)
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Starts the process and waits until it says that it is ready.
    pub async fn launch(&mut self) -> Result<(), DemoError> {
        let program = std::env::current_exe().map_err(DemoError::io("find this program"))?;
        let mut child = Command::new(program)
            .arg("run")
            .arg("-c")
            .arg(&self.config)
            .arg("--data-dir")
            .arg(&self.data)
            .arg(format!("--proxy-listen={}", self.proxy))
            .arg(format!("--admin-listen={}", self.admin))
            .arg(format!("--legacy-admin-listen={}", self.legacy_admin))
            .arg(format!("--hub-listen={}", self.hub))
            .args([ALLOWED, "--min-free=0"])
            .env("RETROHOOK_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(DemoError::io("start the gateway"))?;
        let stdout = child.stdout.take();
        self.child = Some(child);
        let Some(stdout) = stdout else { return Err(DemoError::Gateway("it has no output".into())) };
        let mut lines = BufReader::new(stdout).lines();
        let mut seen = String::new();
        let reading = async {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut words = line.split_whitespace();
                let (name, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let address = value.trim_start_matches("http://").parse();
                match (name, address) {
                    ("proxy", Ok(address)) => self.proxy = address,
                    ("admin", Ok(address)) => self.admin = address,
                    ("legacy-admin", Ok(address)) => self.legacy_admin = address,
                    ("hub", Ok(address)) => self.hub = address,
                    ("ready", _) => return true,
                    _ => {}
                }
                seen.push_str(&line);
                seen.push('\n');
            }
            false
        };
        let ready = tokio::time::timeout(START_PATIENCE, reading).await.unwrap_or(false);
        // What it prints from now on belongs to nobody, but a full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        if ready { Ok(()) } else { Err(DemoError::Gateway(seen)) }
    }

    /// Resolves when the process has ended by itself, or by somebody's hand.
    pub async fn ended(&mut self) {
        match &mut self.child {
            // However it ended, it is gone.
            Some(child) => drop(child.wait().await),
            None => std::future::pending().await,
        }
    }

    /// kill -9, and wait until it is gone.
    pub async fn kill(&mut self) -> Result<(), DemoError> {
        if let Some(child) = &mut self.child {
            child.kill().await.map_err(DemoError::io("kill the gateway"))?;
        }
        Ok(())
    }
}
