//! Decisions of the executor over one to five streams: what a case sends, and whether the answers and the events are those
//! of the decision function, applied in the order of positions.

use super::plan::{Choice, TENANTS};
use super::process::Process;
use super::reference::{Verdict, ensure};
use domain::TenantId;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::Instant;
use streams::RecordedEvent;
use testkit::decisions::{Answer, Attempt, Decision, Entry, account, check};
use testkit::{TIMEOUT, context};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A decision that was sent, whose answer is awaited.
pub(super) struct InFlight {
    pub(super) process: usize,
    pub(super) request: Request,
    invoked_us: u64,
    pub(super) answer: JoinHandle<Answer>,
}

/// A command that asks for a decision.
#[derive(Debug, Clone)]
pub(super) struct Request {
    tenant: usize,
    command: Uuid,
    decision: Decision,
}

/// The decisions of a case.
pub(super) struct Decisions {
    start: Instant,
    tenants: [TenantId; TENANTS],
    /// All that were sent, whatever their outcome.
    sent: Vec<Request>,
    attempts: [Vec<Attempt>; TENANTS],
}

impl Decisions {
    pub(super) fn new(tenants: [TenantId; TENANTS]) -> Self {
        Self { start: Instant::now(), tenants, sent: Vec::new(), attempts: Default::default() }
    }

    /// A new command.
    pub(super) fn request(&self, tenant: usize, choice: Choice) -> Request {
        let decision = match choice {
            Choice::Turn { is_off } => Decision::Turn { is_off },
            Choice::Pay { seed } => {
                let target = account(u128::from(seed % 3));
                Decision::random_payment(target, &mut StdRng::seed_from_u64(seed))
            }
        };
        Request { tenant, command: Uuid::new_v4(), decision }
    }

    /// A retry of an earlier command; none if there is none. With a choice it has the same target and another decision.
    pub(super) fn retry(&self, which: u8, choice: Option<Choice>) -> Option<Request> {
        let mut request = usize::from(which).checked_rem(self.sent.len()).map(|index| self.sent[index].clone())?;
        match (choice, &request.decision) {
            (Some(Choice::Turn { is_off }), Decision::Turn { .. }) => request.decision = Decision::Turn { is_off },
            (Some(Choice::Pay { seed }), Decision::Deposit { .. } | Decision::Transfer { .. }) => {
                let target = request.decision.target();
                request.decision = Decision::random_payment(target, &mut StdRng::seed_from_u64(seed));
            }
            _ => {}
        }
        Some(request)
    }

    pub(super) fn send(&mut self, index: usize, process: &Process, request: Request) -> InFlight {
        let context = context(self.tenants[request.tenant].clone(), "model", request.command);
        let invoked_us = self.now_us();
        let answer = process.decide(context, request.decision.clone());
        self.sent.push(request.clone());
        InFlight { process: index, request, invoked_us, answer }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap()
    }

    /// Waits for an answer. Only a process that crashed meanwhile may leave the outcome open.
    pub(super) async fn wait_for(&mut self, one: InFlight, crashed: Option<usize>) -> Verdict {
        let answer = tokio::time::timeout(TIMEOUT, one.answer).await.expect("a decision got no answer in time");
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_cancelled() => Answer::Unknown { cause: "the process crashed".to_owned() },
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let Request { tenant, command, decision } = one.request;
        let is_open = matches!(answer, Answer::Failed { .. } | Answer::Unknown { .. });
        ensure!(!is_open || crashed == Some(one.process), "{decision:?}: {answer:?}");
        let completed_us = self.now_us();
        self.attempts[tenant].push(Attempt { command, decision, invoked_us: one.invoked_us, completed_us, answer });
        Ok(())
    }

    /// Compares all events and answers of the case until now with the decision function.
    pub(super) fn check(&self, events: &[RecordedEvent]) -> Verdict {
        for (tenant, attempts) in self.tenants.iter().zip(&self.attempts) {
            let of_tenant = events.iter().filter(|event| event.stream.tenant == *tenant);
            let entries: Vec<_> = of_tenant.filter_map(Entry::of).collect();
            let violations = check(&entries, attempts);
            ensure!(violations.is_empty(), "{violations:?} in {entries:#?} after {attempts:#?}");
        }
        Ok(())
    }
}
