//! The key that signs messages in SNS's form: read from the store or made, in the background, and retried until there is one.

use std::sync::Arc;
use std::time::Duration;

use delivery::backoff::Backoff;
use delivery::signing::{KeyHolder, SnsKey};
use storage::{StoreError, Writer, failpoint};

/// The name under which the store has the signing key.
const NAME: &str = "sns-signing-key";

/// The wait before the second try.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Returns when there is a key, or when the store is closed; then the next start makes one.
pub(super) async fn provide(writer: Writer, holder: KeyHolder) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    while !holder.has_key() {
        let error: Error = match attempt(&writer).await {
            Ok(key) => {
                if backoff.failures() > 0 {
                    tracing::info!("there is a signing key now: deliveries in SNS's form go on");
                }
                return holder.set(Arc::new(key));
            }
            Err(error) if is_closed(&error) => return,
            Err(error) => error,
        };
        let wait = backoff.failed();
        let cause = storage::describe(&*error);
        tracing::error!(
            cause,
            seconds = wait.as_secs(),
            "there is no signing key, and deliveries in SNS's form wait: it is tried again"
        );
        holder.failed(cause);
        tokio::time::sleep(wait).await;
    }
}

async fn attempt(writer: &Writer) -> Result<SnsKey, Error> {
    let stored = writer.transact(|tx| tx.get_value(NAME)).await?;
    let made = tokio::task::spawn_blocking(move || {
        failpoint::hit(failpoint::SIGNING_KEY);
        match stored {
            Some(pem) => SnsKey::from_pem(&pem).map(|key| (key, true)),
            None => SnsKey::generate().map(|key| (key, false)),
        }
    });
    let (key, is_stored) = made.await??;
    if !is_stored {
        let pem = key.to_pem().as_bytes().to_vec();
        writer.transact(move |tx| tx.put_value(NAME, &pem)).await?;
    }
    Ok(key)
}

fn is_closed(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Closed))
}
