//! What becomes of a request on its way, and of its reply.

use std::sync::atomic::Ordering;
use std::time::Duration;

use candour_core::ports::{Response, TransportError};

use super::network::Outgoing;
use super::phone::Flight;
use super::world::World;

/// A phone gives up waiting after this long.
const PATIENCE: Duration = Duration::from_secs(60);

impl World {
    pub(super) async fn deliver_any(&mut self) {
        let waiting: Vec<usize> = (0..self.phones.len())
            .filter(|p| self.phones[*p].flight.is_some())
            .collect();
        let chosen = self.draw(waiting.len());
        if let Some(p) = waiting.get(chosen) {
            self.deliver(*p).await;
        }
    }

    /// Takes the request or the reply of a phone a step further.
    pub(super) async fn deliver(&mut self, p: usize) {
        let Some(flight) = self.phones[p].flight.take() else {
            return;
        };
        let Flight { outgoing, reply } = flight;
        let reply = match reply {
            Some(reply) => reply,
            None => {
                let reply = self.meet_network(p, &outgoing).await;
                if !self.calm && self.profile.network > 0 && self.percent(10) {
                    self.met.hit("network: delayed reply");
                    let reply = Some(reply);
                    self.phones[p].flight = Some(Flight { outgoing, reply });
                    return;
                }
                reply
            }
        };
        let came = match &reply {
            Ok(reply) => reply.status.to_string(),
            Err(error) => error.to_string(),
        };
        self.say(format_args!(
            "phone {p}: {} -> {came}",
            Self::name(&outgoing)
        ));
        if reply.is_err() {
            // The next request begins with a handshake.
            outgoing.connection.store(0, Ordering::SeqCst);
        }
        let _ = outgoing.answer.send(reply);
        self.drive(p).await;
    }

    /// The request on its way to the gateway, and what comes back.
    async fn meet_network(
        &mut self,
        p: usize,
        outgoing: &Outgoing,
    ) -> Result<Response, TransportError> {
        let cut = || Err(TransportError::Unreachable("cut off".to_owned()));
        let chance = self.profile.network;
        if self.calm || !self.percent(chance) {
            return self.serve(outgoing, None).await;
        }
        match self.draw(if self.profile.late { 8 } else { 6 }) {
            0 => {
                self.met.hit("network: cut before the request");
                cut()
            }
            1 => {
                self.met.hit("network: cut within the request");
                // How long a body is depends on random signatures.
                let bytes = outgoing.request.body.len() * self.draw(100) / 100;
                let _ = self.serve(outgoing, Some(bytes)).await;
                cut()
            }
            2 => {
                self.met.hit("network: cut after the request");
                let _ = self.serve(outgoing, None).await;
                cut()
            }
            3 => {
                self.met.hit("network: error page");
                let statuses = [302, 403, 404, 502, 503, 504];
                let status = statuses[self.draw(statuses.len())];
                if self.rng.bool() {
                    let _ = self.serve(outgoing, None).await;
                }
                Ok(Response {
                    status,
                    headers: vec![("content-type".to_owned(), "text/html".to_owned())],
                    body: b"<html>Please come back later</html>".to_vec(),
                })
            }
            4 => {
                let served = self.serve(outgoing, None).await;
                self.met.hit("network: garbled reply");
                served.map(|mut reply| {
                    reply.body.truncate(reply.body.len() / 2);
                    reply
                })
            }
            5 => {
                self.met.hit("network: cut before the request");
                Err(TransportError::TimedOut(PATIENCE))
            }
            6 => {
                self.met.hit("network: request delivered late");
                self.stray(p, outgoing);
                Err(TransportError::TimedOut(PATIENCE))
            }
            _ => {
                self.met.hit("network: request delivered twice");
                let reply = self.serve(outgoing, None).await;
                self.stray(p, outgoing);
                reply
            }
        }
    }
}
