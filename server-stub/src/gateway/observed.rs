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
    /// A body in chunks does not know that its end was reached.
    read: bool,
    tell: F,
}

impl<B: Body, F: FnMut(Seen)> Observed<B, F> {
    pub(super) const fn new(body: B, tell: F) -> Self {
        let read = false;
        Self { body, read, tell }
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
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    (self.tell)(Seen::Bytes(data.remaining()));
                }
            }
            Poll::Ready(None) => self.read = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
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
        if !self.read && !self.body.is_end_stream() {
            (self.tell)(Seen::Left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{FutureExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    #[test]
    fn a_body_that_does_not_know_its_length_is_left_only_where_its_end_was_not_reached() {
        let seen = |frames: usize| {
            let mut seen = Vec::new();
            let data = ["a", "bc"].map(|data| Ok::<_, Infallible>(Frame::data(Bytes::from(data))));
            let body = StreamBody::new(stream::iter(data));
            let mut observed = Observed::new(body, |what| seen.push(what));
            for _ in 0..frames {
                let _ = observed.frame().now_or_never();
            }
            drop(observed);
            seen
        };
        let bytes = [Seen::Bytes(1), Seen::Bytes(2)];
        assert_eq!(seen(3), bytes);
        assert_eq!(seen(2), [bytes.as_slice(), &[Seen::Left]].concat());
        assert_eq!(seen(0), [Seen::Left]);
    }
}
