//! # Wheeltapper
//!
//! Before radio, a wheeltapper walked along the train and struck each wheel with a hammer: a sound wheel rings, a
//! cracked one does not. This crate does that for the machines behind a factory gateway.
//!
//! ## The map of the house
//!
//! The rooms follow one sample's way, in the blocks of ISO 13374. Walk them once, in this order, and never back:
//!
//! | room | block of ISO 13374 | what comes in → what goes out |
//! |---|---|---|
//! | [`acquisition`] | data acquisition | topic and bytes → readings of named channels |
//! | [`manipulation`] | data manipulation | readings → aligned [`Sample`](manipulation::Sample)s → fixed-capacity windows |
//! | [`models`] | – | a package folder → a verified [`Denoiser`](models::Denoiser) |
//! | [`detection`] | state detection | samples → one score, where 1.0 is the limit, with contributions ([`Judgement`](detection::Judgement)) |
//! | [`alarm`] | state detection | scores and commands → [`Transition`](alarm::Transition)s of an ISA-18.2 life cycle |
//! | [`assessment`] | health assessment | contributions → a diagnosis |
//! | [`advisory`] | advisory generation | a diagnosis and its playbook → a recommendation with sources |
//! | [`command`] | – | the payload of an operator's command → what it asks for; and the answer |
//! | [`publication`] | – | a transition with its advice → topics and payloads of the public contract |
//! | [`machine`] | – | the pure heart: one machine's way from sample to transition; `run`, `score` and `calibrate` call just this |
//! | [`plant`] | – | all machines of a gateway: routes a message to its machine and counts what is refused |
//!
//! Up to here nothing knows a socket, a file, a task or a clock: time comes in as [`clock::Now`]. Around it stand
//!
//! | room | what it keeps |
//! |---|---|
//! | [`config`] | the gateway's TOML file and the kinds' profiles, parsed into types that cannot be wrong |
//! | [`clock`], [`notation`] | both clocks as one value; how durations, sizes, hashes and TOML are written |
//! | [`recording`] | delimited files of telemetry, read row by row |
//! | [`outbox`], [`checkpoint`] | what must survive a power cut, each format described beside its code |
//! | [`history`] | what people found at their machines, in a file that anyone may read |
//! | [`transport`] | rumqttc and its traps behind one door |
//! | [`generation`] | synthetic telemetry |
//! | [`gateway`] | the daemon: wiring only |
//! | [`cli`] | one file a command |

pub mod acquisition;
pub mod advisory;
pub mod alarm;
pub mod assessment;
pub mod checkpoint;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod detection;
pub mod gateway;
pub mod generation;
pub mod history;
pub mod machine;
pub mod manipulation;
pub mod models;
pub mod notation;
pub mod outbox;
pub mod plant;
pub mod publication;
pub mod recording;
pub mod transport;
