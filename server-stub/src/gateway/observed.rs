//! A body that tells how much of it was read, and whether it was left before its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

/// What happens to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// So many bytes were read.
    Bytes(usize),
    /// Nobody reads the rest.
    Left,
}

/// A body whose reading is told to a function.
pub(super) struct Observed<B: Body, F: FnMut(Seen)> {
    body: B,
    tell: F,
}

impl<B: Body, F: FnMut(Seen)> Observed<B, F> {
    pub(super) const fn new(body: B, tell: F) -> Self {
        Self { body, tell }
    }
}

impl<B: Body<Data = Bytes> + Unpin, F: FnMut(Seen) + Unpin> Body for Observed<B, F> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            (self.tell)(Seen::Bytes(data.remaining()));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body, F: FnMut(Seen)> Drop for Observed<B, F> {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            (self.tell)(Seen::Left);
        }
    }
}
