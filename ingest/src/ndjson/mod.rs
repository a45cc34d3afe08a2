//! Lines of JSON in a form of Apex's own: one object a line, which states a call, a task or a memory, with an id that its
//! client chose. A line that is sent again changes nothing.
//!
//! Lines are read on a thread, recorded many at a time, and answered in their order, each once what it states is in the log.
//! A line that cannot be recorded is refused alone. Unlike the formats of other tools, a line has no field that is not known:
//! it is refused by the name of the field, because nothing that a client states is dropped in silence.

mod answer;
mod call;
mod error;
mod fields;
mod line;
mod memory;
mod recorder;
mod run;
mod task;
mod waiting;

pub use answer::{LineAnswer, LineRefusal, LineStatus};
pub use error::LineError;
pub use line::{Line, MAX_LINE_BYTES, fields_of};
pub use memory::MemoryLine;
pub use run::{LinesStopped, receive_lines};
pub use task::TaskLine;
pub use waiting::{AnswerSender, WaitingAnswer, answer_queue};
