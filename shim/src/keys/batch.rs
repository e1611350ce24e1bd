//! Which requests share a round trip to Postgres, and when their batch is dispatched. A round trip
//! costs both sides as much as several checks of keys, so requests wait for each other where that
//! takes next to no time.
//!
//! It is Nagle's rule (RFC 896) with batches for packets. While no batch is out, a request is
//! dispatched at once, alone if it is alone. While one is out, those that arrive wait for its
//! return and then leave together; a full batch does not wait. A batch that is out for long (it
//! opens a connection, it hashes a key that is new, the server is far) tells nothing about the next
//! one, so while there is such a *slow* one nobody is held back. Those who then wait, because all
//! connections are in use, are spread over all of them.
//!
//! No clock and no I/O here: `client` says what has happened, and is told what to dispatch.

use std::collections::VecDeque;

/// Requests in one batch, at most. With 16 of them the round trip itself is a small part of the
/// cost already, and each waits for all.
const FULL: usize = 16;

pub struct Queue<T> {
    waiting: VecDeque<T>,
    /// How many have left `waiting`, ever.
    left: u64,
    connections: usize,
    /// Longest the queue may get.
    bound: usize,
    /// Batches that are out, and have not been for long.
    fresh: usize,
    slow: usize,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u64);

impl<T> Queue<T> {
    /// `connections` and `bound` are one at least.
    pub fn new(connections: usize, bound: usize) -> Self {
        Self { waiting: VecDeque::new(), left: 0, connections, bound, fresh: 0, slow: 0 }
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// `None` if too many wait already.
    pub fn join(&mut self, item: T) -> Option<Ticket> {
        let ticket = Ticket(self.left + self.waiting.len() as u64);
        (self.waiting.len() < self.bound).then(|| self.waiting.push_back(item))?;
        Some(ticket)
    }

    /// The next batch, if one is due; to be called after each of the other functions, until it
    /// gives nothing. The batch's end has to be told.
    pub fn dispatch(&mut self) -> Option<Vec<T>> {
        if self.waiting.is_empty() || self.fresh + self.slow >= self.connections {
            return None;
        }
        let share = if self.slow == 0 { 1 } else { self.connections };
        let size = self.waiting.len().div_ceil(share).min(FULL);
        let is_held_back = self.fresh > 0 && self.slow == 0 && size < FULL;
        if is_held_back {
            return None;
        }
        self.fresh += 1;
        Some(self.leave(size))
    }

    /// Who else may come along with a batch of this size that has not been sent yet.
    pub fn top_up(&mut self, size: usize) -> Vec<T> {
        let free = if self.slow == 0 { FULL.saturating_sub(size) } else { 0 };
        self.leave(free.min(self.waiting.len()))
    }

    /// Says that a batch has become slow.
    pub fn slowed(&mut self) {
        self.fresh -= 1;
        self.slow += 1;
    }

    /// Says that a batch has ended.
    pub fn returned(&mut self, was_slow: bool) {
        let batches = if was_slow { &mut self.slow } else { &mut self.fresh };
        *batches -= 1;
    }

    /// False if its batch has been dispatched. All who joined earlier leave, too: they have waited
    /// for longer.
    pub fn give_up(&mut self, Ticket(place): Ticket) -> bool {
        let Some(ahead) = place.checked_sub(self.left) else {
            return false;
        };
        self.leave(ahead as usize + 1);
        true
    }

    fn leave(&mut self, count: usize) -> Vec<T> {
        self.left += count as u64;
        self.waiting.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: [usize; 0] = [];

    fn queue(connections: usize, waiting: usize) -> Queue<usize> {
        let mut queue = Queue::new(connections, 1000);
        (0..waiting).for_each(|number| {
            queue.join(number);
        });
        queue
    }

    /// The sizes of all batches that are dispatched now.
    fn dispatched(queue: &mut Queue<usize>) -> Vec<usize> {
        std::iter::from_fn(|| queue.dispatch()).map(|batch| batch.len()).collect()
    }

    #[test]
    fn one_alone_is_dispatched_at_once() {
        let mut queue = queue(10, 1);
        assert_eq!(dispatched(&mut queue), [1]);
        queue.returned(false);
        queue.join(1);
        assert_eq!(queue.dispatch(), Some(vec![1]));
    }

    #[test]
    fn those_who_arrive_meanwhile_leave_together_and_in_order() {
        let mut queue = queue(10, 1);
        assert_eq!(dispatched(&mut queue), [1]);
        for number in 1..8 {
            queue.join(number);
            assert_eq!(queue.dispatch(), None);
        }
        queue.returned(false);
        assert_eq!(queue.dispatch(), Some((1..8).collect()));
        assert_eq!(queue.dispatch(), None);
    }

    #[test]
    fn a_full_batch_waits_for_nothing_but_a_connection() {
        let mut queue = queue(3, 1 + 2 * FULL + 2);
        assert_eq!(dispatched(&mut queue), [FULL, FULL]);
        queue.returned(false);
        assert_eq!(dispatched(&mut queue), NOTHING, "one is out, and three wait");
        (0..FULL).for_each(|number| {
            queue.join(number);
        });
        assert_eq!(dispatched(&mut queue), [FULL]);
        queue.returned(false);
        queue.returned(false);
        assert_eq!(dispatched(&mut queue), [3]);
    }

    #[test]
    fn a_slow_batch_holds_nobody_back() {
        let mut queue = queue(4, 1);
        assert_eq!(dispatched(&mut queue), [1]);
        queue.join(1);
        assert_eq!(dispatched(&mut queue), NOTHING);
        queue.slowed();
        assert_eq!(dispatched(&mut queue), [1]);
        queue.join(2);
        assert_eq!(dispatched(&mut queue), [1], "though one is fresh");
        queue.returned(true);
        queue.join(3);
        assert_eq!(dispatched(&mut queue), NOTHING, "two are fresh, and none is slow any more");
    }

    #[test]
    fn beside_slow_batches_the_waiting_are_spread_over_all_connections() {
        let mut queue = queue(4, 1);
        assert_eq!(dispatched(&mut queue), [1]);
        (0..8).for_each(|number| {
            queue.join(number);
        });
        queue.slowed();
        assert_eq!(dispatched(&mut queue), [2, 2, 1]);
        queue.slowed();
        queue.returned(true);
        assert_eq!(dispatched(&mut queue), [1], "the last two have another connection each");
        queue.returned(true);
        assert_eq!(dispatched(&mut queue), NOTHING, "two fresh ones are out");
    }

    #[test]
    fn latecomers() {
        let mut queue = queue(4, 1);
        assert_eq!(queue.dispatch(), Some(vec![0]));
        (1..FULL + 3).for_each(|number| {
            queue.join(number);
        });
        assert_eq!(queue.top_up(1), (1..FULL).collect::<Vec<_>>());
        assert_eq!(queue.top_up(FULL), NOTHING);
        assert_eq!(queue.dispatch(), None, "three wait for the return");
        queue.slowed();
        assert_eq!(queue.top_up(1), NOTHING, "each may have a connection of its own");
        assert_eq!(dispatched(&mut queue), [1, 1, 1]);
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut queue = Queue::new(1, 2);
        let joined = [1, 2, 3].map(|number| queue.join(number).is_some());
        assert_eq!(joined, [true, true, false]);
        assert_eq!(queue.dispatch(), Some(vec![1, 2]));
        assert!(queue.join(3).is_some());
    }

    #[test]
    fn giving_up() {
        let mut queue = queue(1, 0);
        let first = queue.join(1).unwrap();
        assert_eq!(queue.dispatch(), Some(vec![1]));
        assert!(!queue.give_up(first), "it has been dispatched");
        let [second, third, fourth] = [2, 3, 4].map(|number| queue.join(number).unwrap());
        assert!(queue.give_up(third));
        assert!(!queue.give_up(second), "it has left with the third");
        queue.returned(false);
        assert_eq!(queue.dispatch(), Some(vec![4]));
        assert!(!queue.give_up(fourth));
    }
}
