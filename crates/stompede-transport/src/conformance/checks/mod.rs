//! The checks, each with the sentence of the contract that it is for.

mod dialling;
mod ending;
mod material;
mod pressure;
mod receiving;
mod sending;

use std::future::Future;
use std::pin::Pin;

use super::rig::{Rig, Stop};

type Running<'r> = Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + 'r>>;

pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) sentence: &'static str,
    pub(super) run: for<'r, 's> fn(&'r Rig<'s>) -> Running<'r>,
}

macro_rules! entries {
    ($($module:ident :: $name:ident : $sentence:literal,)*) => {
        &[$(Entry {
            name: stringify!($name),
            sentence: $sentence,
            run: |rig| Box::pin($module::$name(rig)),
        },)*]
    };
}

/// A test compares the sentences with the documentation of `Transport` and `Connector`.
pub(super) const ALL: &[Entry] = entries![
    dialling::dialling_is_lazy: "lazy (nothing happens before the first poll)",
    dialling::a_dropped_dial_stops: "dropping it stops it",
    dialling::each_dial_is_a_connection_of_its_own: "A connector is asked anew for every attempt",
    receiving::chunks_are_never_empty: "Inbound items are non-empty",
    receiving::bytes_arrive_in_order_however_they_were_cut: "their boundaries mean nothing",
    receiving::much_arrives_whole: "An item may hold part of a frame, several frames, or only line ends",
    receiving::a_waiting_reader_is_woken:
        "has arranged for that task's waker to be woken when the same method may make progress",
    sending::each_item_arrives_as_it_was_encoded:
        "Each outbound item is exactly one encoded frame or one heart-beat",
    sending::an_item_is_one_message: "A message transport such as WebSocket sends it as one message",
    sending::large_bodies_arrive_whole: "a stream transport writes its bytes in order",
    sending::many_items_need_one_flush: "Many items may be started before one flush",
    sending::frames_that_lie_together_arrive_each_by_itself:
        "Starts frames, the first of `frames` first, until none is left",
    sending::what_was_flushed_needs_nothing_more:
        "Waits until everything started has been handed to the operating system",
    sending::flushing_nothing_is_ready: "Waits until everything started has been handed to the operating system",
    pressure::a_peer_that_does_not_read_pushes_back: "is pending above a high-water mark",
    pressure::what_was_taken_before_it_was_full_arrives: "never an unbounded buffer",
    pressure::reading_goes_on_while_a_write_is_blocked: "Reading goes on while a write is blocked",
    pressure::each_side_has_a_waker_of_its_own: "the reading side and the writing side are woken independently",
    pressure::an_idle_connection_is_quiet: "wakes nobody while nothing happens",
    pressure::a_blocked_connection_is_quiet: "wakes nobody while nothing happens",
    ending::what_came_before_a_close_is_not_lost: "What arrived before a close or an error is yielded first",
    ending::a_close_is_an_orderly_end: "is an orderly close",
    ending::an_abrupt_end_is_an_error: "an error is terminal and says why",
    ending::the_end_stays_the_end: "every further call gives the same kind of answer",
    ending::a_failed_write_stays_failed: "every further call gives the same kind of answer",
    ending::nothing_panics_after_the_end: "none panics",
    ending::what_has_arrived_is_read_after_a_failed_write: "and after one has failed",
    ending::closing_flushes_and_ends_the_sending_side: "and closes the sending side",
    ending::the_peers_goodbye_ends_a_closed_connection: "The peer's answer shows as the end of",
    ending::a_closed_side_still_receives: "closes the sending side",
    ending::dropping_closes_at_once: "Dropping a transport closes it at once",
];

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn each_sentence_stands_in_the_contract_and_each_name_is_used_once() {
        let sources = [include_str!("../../transport.rs"), include_str!("../../connector.rs")].concat();
        let words: Vec<&str> = sources
            .lines()
            .filter_map(|line| line.trim().strip_prefix("///"))
            .flat_map(str::split_whitespace)
            .collect();
        let contract = words.join(" ").replace("**", "");
        for check in ALL {
            assert!(contract.contains(check.sentence), "{}: {:?}", check.name, check.sentence);
            assert_eq!(ALL.iter().filter(|other| other.name == check.name).count(), 1, "{}", check.name);
        }
    }
}
