//! Letting an exchange outlive its client.
//!
//! hyper drops the future of a request when its client goes away. A future in a [`Detach`] then moves into a task of its own and runs to its
//! end. As long as the client stays, there is no second task and no channel.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::Exchange;
use crate::core::Core;

/// A future that goes on when it is dropped.
pub(crate) struct Detach<T: 'static> {
    future: Option<Pin<Box<dyn Future<Output = T>>>>,
    exchange: Rc<Exchange>,
    core: Rc<Core>,
}

impl<T> Detach<T> {
    pub fn new(core: Rc<Core>, exchange: Rc<Exchange>, future: impl Future<Output = T> + 'static) -> Self {
        Self { future: Some(Box::pin(future)), exchange, core }
    }
}

impl<T> Future for Detach<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.future else { return Poll::Pending };
        let output = std::task::ready!(future.as_mut().poll(cx));
        self.future = None;
        Poll::Ready(output)
    }
}

impl<T: 'static> Drop for Detach<T> {
    fn drop(&mut self) {
        let Some(future) = self.future.take() else { return };
        self.exchange.client_left();
        // After the drain deadline nothing would run the task: dropping the exchange settles it.
        if !self.core.closing.get() {
            tokio::task::spawn_local(async move { drop(future.await) });
        }
    }
}
