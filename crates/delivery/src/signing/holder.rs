//! Holds the SNS signing key once it is made, and until then the reason why there is none.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::SnsKey;

/// The holder; clones share the key.
#[derive(Clone, Debug, Default)]
pub struct KeyHolder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    key: watch::Sender<Option<Arc<SnsKey>>>,
    trouble: Mutex<Option<Arc<str>>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { key: watch::channel(None).0, trouble: Mutex::default() }
    }
}

impl KeyHolder {
    /// A receiver that gets the key.
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<SnsKey>>> {
        self.0.key.subscribe()
    }

    /// Whether there is one.
    pub fn has_key(&self) -> bool {
        self.0.key.borrow().is_some()
    }

    /// Sets the key.
    pub fn set(&self, key: Arc<SnsKey>) {
        *self.trouble_of() = None;
        self.0.key.send_replace(Some(key));
    }

    /// Notes why the last try failed.
    pub fn failed(&self, cause: String) {
        *self.trouble_of() = Some(cause.into());
    }

    /// Why there is no key, if a try has failed.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.trouble_of().clone()
    }

    fn trouble_of(&self) -> std::sync::MutexGuard<'_, Option<Arc<str>>> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_why_there_is_no_key_until_there_is_one() {
        let holder = KeyHolder::default();
        let key = holder.subscribe();
        assert!(!holder.has_key() && holder.trouble().is_none(), "nothing has failed yet");
        holder.failed("no entropy".into());
        assert_eq!(holder.trouble().as_deref(), Some("no entropy"));
        assert!(!holder.has_key());
        holder.set(Arc::new(SnsKey::generate().unwrap()));
        assert!(holder.has_key() && holder.trouble().is_none() && key.borrow().is_some());
    }
}
