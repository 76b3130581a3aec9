//! The RabbitMQ suite: every scenario in every way in, and a table of what came of it.
//!
//! `cargo xtask test --full` runs it. By hand: `cargo test -p stompede-real-brokers --test suite -- [parts of names]` with
//! the variables set that `stompede_real_brokers::RabbitMq` reads.

mod acks;
mod bodies;
mod exchange;
mod login;
mod mode;
mod reach;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use mode::Mode;

type Scenario = fn(Mode) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// A function and its name, which is also the scenario's name.
macro_rules! scenarios {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$((stringify!($name), |mode| Box::pin($module::$name(mode)))),*]
    };
}

const SCENARIOS: &[(&str, Scenario)] = scenarios![
    login::good_login,
    login::wrong_passcode_is_told_at_once,
    login::unknown_virtual_host,
    login::no_permission_to_write,
    login::every_version,
    login::disconnect_counts_as_clean,
    login::a_websocket_ends_with_stomp_died,
    bodies::text,
    bodies::empty_body,
    bodies::one_mib_of_every_byte,
    bodies::headers_with_colon_backslash_lf_and_cr,
    bodies::ten_thousand_messages_in_order,
    exchange::queue_to_one,
    exchange::topic_to_all,
    exchange::unsubscribing_in_a_flood_ends_nothing,
    exchange::a_deleted_queue_ends_its_subscription_alone,
    exchange::receipts_in_order,
    exchange::receipts_out_of_order,
    exchange::transaction_commits,
    exchange::transaction_aborts,
    exchange::temp_queue_request_and_reply,
    exchange::durable_topic_subscription,
    exchange::slash_in_a_queue_name,
    exchange::refused_frames_end_the_session,
    acks::auto_settles_by_itself,
    acks::client_is_cumulative,
    acks::client_is_cumulative_within_its_subscription,
    acks::in_1_0_client_settles_one,
    acks::acks_in_transactions_and_beside_them,
    acks::client_individual_settles_one,
    acks::nack_redelivers,
    acks::prefetch_holds_back,
    acks::what_is_rejected_does_not_come_again,
    reach::an_unknown_authority_is_refused,
    reach::a_missing_client_certificate_is_told,
    reach::the_proxy_passes_on,
];

/// What is tried in every way in. With a client's certificate, and through the proxy, the rest would only take time:
/// once a connection stands, bytes are bytes.
const EVERYWHERE: &[&str] = &[
    "good_login",
    "wrong_passcode_is_told_at_once",
    "no_permission_to_write",
    "disconnect_counts_as_clean",
    "a_websocket_ends_with_stomp_died",
    "text",
    "one_mib_of_every_byte",
    "queue_to_one",
    "transaction_commits",
    "nack_redelivers",
];

/// Whether a scenario makes sense in that way in, and is tried there.
fn applies(name: &str, mode: &Mode) -> bool {
    match name {
        "an_unknown_authority_is_refused" => mode.is_encrypted(),
        "a_missing_client_certificate_is_told" => mode.shows_a_certificate(),
        "the_proxy_passes_on" => mode.is_proxied(),
        _ => !(mode.shows_a_certificate() || mode.is_proxied()) || EVERYWHERE.contains(&name),
    }
}

/// Far more than any scenario takes; a hang fails instead of hanging.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let known = |name: &&str| SCENARIOS.iter().any(|(scenario, _)| scenario == name);
    assert!(EVERYWHERE.iter().all(known), "a scenario that is tried everywhere is none");
    let modes = runtime.block_on(Mode::all());
    let (mut passed, mut failed) = (0, 0);
    print!("{:44}", "RabbitMQ");
    modes.iter().for_each(|mode| print!("{:>12}", mode.name()));
    println!();
    let mut reports = Vec::new();
    for (name, scenario) in SCENARIOS {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        print!("{:44}", name.replace('_', " "));
        for mode in &modes {
            if !applies(name, mode) {
                print!("{:>12}", "-");
                continue;
            }
            let task = runtime.spawn(scenario(mode.clone()));
            let outcome = runtime.block_on(async { tokio::time::timeout(LIMIT, task).await });
            match outcome {
                Ok(Ok(())) => {
                    passed += 1;
                    print!("{:>12}", "ok");
                }
                Ok(Err(panic)) => {
                    failed += 1;
                    print!("{:>12}", "FAILED");
                    reports.push(format!("{name} over {}: {panic}", mode.name()));
                }
                Err(_) => {
                    failed += 1;
                    print!("{:>12}", "HANGS");
                    reports.push(format!("{name} over {}: not done within {LIMIT:?}", mode.name()));
                }
            }
        }
        println!();
    }
    reports.iter().for_each(|report| println!("{report}"));
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
