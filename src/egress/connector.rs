//! The layer around the client's connector that reports when connecting begins and ends.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::progress::Progress;
use crate::delivery::Phase;

/// Wraps a connector in [`Reporting`].
#[derive(Debug, Clone, Copy)]
pub(super) struct ReportLayer;

impl<S> Layer<S> for ReportLayer {
    type Service = Reporting<S>;

    fn layer(&self, connector: S) -> Self::Service {
        Reporting(connector)
    }
}

/// A connector that reports to the [`Progress`] of the request it connects for.
#[derive(Debug, Clone)]
pub(super) struct Reporting<S>(S);

impl<S, Target> Service<Target> for Reporting<S>
where
    S: Service<Target>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Connecting<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let progress = Progress::current();
        if let Some(progress) = &progress {
            progress.set(Phase::Connect);
        }
        Connecting { connecting: Box::pin(self.0.call(target)), progress }
    }
}

/// A connection on its way. When another connection becomes free before this one is ready, the
/// client sends the request there and moves this future to a task of its own: the request is then
/// no longer connecting, and what happens here is no longer its.
pub(super) struct Connecting<F> {
    connecting: Pin<Box<F>>,
    progress: Option<Progress>,
}

impl<F, C, E> Future for Connecting<F>
where
    F: Future<Output = Result<C, E>>,
{
    type Output = Result<C, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.progress.as_ref().is_some_and(|progress| !progress.is_current())
            && let Some(progress) = self.progress.take()
        {
            progress.connected();
        }
        let outcome = self.connecting.as_mut().poll(cx);
        if let (Poll::Ready(Ok(_)), Some(progress)) = (&outcome, &self.progress) {
            progress.connected();
        }
        outcome
    }
}
