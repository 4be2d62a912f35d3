//! Questions under way on one port. A source that answers at once, as ours in memory do, is done with at the first look; a slow one is
//! waited for beside the receive loop and never by it.

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    pin::Pin,
    task::Poll,
};

use bootcode_core::mac::MacAddr;
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use crate::limits;

/// The work on one question.
pub(super) type Flight<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boarding {
    /// It is done.
    Landed,
    /// It is waited for.
    Aloft,
    /// Too many are: this one, the newest, is dropped. Its client asks again.
    Dropped,
}

/// Questions under way. Those of one client are answered in their order.
#[derive(Default)]
pub(super) struct Flights<'a> {
    aloft: FuturesUnordered<Pin<Box<dyn Future<Output = MacAddr> + Send + 'a>>>,
    /// Clients with a question aloft, each with those that came after it.
    behind: HashMap<MacAddr, VecDeque<Flight<'a>>>,
    waiting: usize,
}

impl<'a> Flights<'a> {
    /// How many are waited for.
    pub(super) fn len(&self) -> usize {
        self.aloft.len() + self.waiting
    }

    /// Starts the work on a question of `client`.
    pub(super) async fn board(&mut self, client: MacAddr, mut flight: Flight<'a>) -> Boarding {
        let full = self.len() >= limits::IN_FLIGHT;
        if let Some(behind) = self.behind.get_mut(&client) {
            if full || behind.len() >= limits::IN_FLIGHT_OF_CLIENT {
                return Boarding::Dropped;
            }
            behind.push_back(flight);
            self.waiting += 1;
            return Boarding::Aloft;
        }
        // One look even when full: what comes from memory goes on while some store is away.
        let first = poll_fn(|context| Poll::Ready(flight.as_mut().poll(context))).await;
        match first {
            Poll::Ready(()) => Boarding::Landed,
            Poll::Pending if full => Boarding::Dropped,
            Poll::Pending => {
                self.behind.insert(client, VecDeque::new());
                self.launch(client, flight);
                Boarding::Aloft
            }
        }
    }

    /// Waits until one is done; for ever where none is under way.
    pub(super) async fn land(&mut self) {
        let Some(client) = self.aloft.next().await else { return std::future::pending().await };
        match self.behind.get_mut(&client).and_then(VecDeque::pop_front) {
            Some(next) => {
                self.waiting -= 1;
                self.launch(client, next);
            }
            None => drop(self.behind.remove(&client)),
        }
    }

    fn launch(&mut self, client: MacAddr, flight: Flight<'a>) {
        self.aloft.push(Box::pin(async move {
            flight.await;
            client
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::Semaphore;

    use super::*;

    fn client(n: usize) -> MacAddr {
        let [.., a, b, c] = n.to_be_bytes();
        MacAddr([2, 0, 0, a, b, c])
    }

    #[tokio::test]
    async fn a_slow_source_stalls_its_client_and_nobody_else_and_keeps_the_order() {
        let (gate, log) = &(Semaphore::new(0), Mutex::new(Vec::new()));
        let mut flights = Flights::default();
        let slow = |name: &'static str| -> Flight<'_> {
            Box::pin(async move {
                gate.acquire().await.unwrap().forget();
                log.lock().unwrap().push(name);
            })
        };
        let quick =
            |name: &'static str| -> Flight<'_> { Box::pin(async move { log.lock().unwrap().push(name) }) };
        assert_eq!(flights.board(client(1), slow("slow")).await, Boarding::Aloft);
        assert_eq!(flights.board(client(2), quick("other")).await, Boarding::Landed);
        assert_eq!(flights.board(client(1), quick("after")).await, Boarding::Aloft, "behind the slow one");
        assert_eq!(*log.lock().unwrap(), ["other"]);
        gate.add_permits(1);
        flights.land().await;
        flights.land().await;
        assert_eq!(*log.lock().unwrap(), ["other", "slow", "after"]);
        assert_eq!(flights.len(), 0);
        assert!(flights.behind.is_empty(), "nothing is remembered of who was served");
    }

    #[tokio::test]
    async fn overload_drops_the_newest_and_answers_from_memory_go_on() {
        let mut flights = Flights::default();
        for n in 0..limits::IN_FLIGHT {
            assert_eq!(
                flights.board(client(n), Box::pin(std::future::pending())).await,
                Boarding::Aloft,
                "{n}"
            );
        }
        let pending = || -> Flight<'_> { Box::pin(std::future::pending()) };
        assert_eq!(flights.board(client(limits::IN_FLIGHT), pending()).await, Boarding::Dropped);
        assert_eq!(flights.board(client(0), Box::pin(async {})).await, Boarding::Dropped, "its first waits");
        assert_eq!(
            flights.board(client(limits::IN_FLIGHT), Box::pin(async {})).await,
            Boarding::Landed,
            "what comes from memory is answered"
        );
        assert_eq!(flights.len(), limits::IN_FLIGHT);
    }

    #[tokio::test]
    async fn one_client_holds_no_more_than_its_share() {
        let mut flights = Flights::default();
        let pending = || -> Flight<'_> { Box::pin(std::future::pending()) };
        for n in 0..=limits::IN_FLIGHT_OF_CLIENT {
            assert_eq!(flights.board(client(1), pending()).await, Boarding::Aloft, "{n}");
        }
        assert_eq!(flights.board(client(1), pending()).await, Boarding::Dropped);
    }
}
