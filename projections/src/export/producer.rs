//! Making rows of calls and writing them, on a thread of its own.

use super::call::{Call, WIDTH};
use super::calls::Calls;
use super::chunk::ExportChunk;
use super::copy::Rows;
use super::error::ExportError;
use super::focus::Focus;
use super::output::{Output, Stop};
use super::reader::AgentNames;
use super::table::Column;
use super::writer::Writer;
use tokio::sync::mpsc;

/// Makes the rows of an export.
pub(super) struct Producer {
    pub(super) content: Producing,
    /// The names of agents; none if calls have them.
    pub(super) names: AgentNames,
}

/// What rows are made of.
pub(super) enum Producing {
    Calls(Box<Calls>),
    Focus(Box<Focus>),
}

impl Producer {
    pub(super) fn columns(&self) -> Vec<Column> {
        match &self.content {
            Producing::Calls(_) => Calls::columns(),
            Producing::Focus(focus) => focus.columns(),
        }
    }

    /// Writes the calls that are read, and says how the export ended: none is its end.
    pub(super) fn run(
        mut self,
        writer: Writer,
        batches: mpsc::Receiver<Result<Option<Rows>, ExportError>>,
        chunks: &mpsc::Sender<Result<Option<ExportChunk>, ExportError>>,
    ) {
        let mut output = Output::new(writer, chunks);
        let ended = match self.write_all(&mut output, batches).and_then(|()| output.finish()) {
            Ok(()) => Ok(None),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::ReceiverClosed) => return,
        };
        // An error means that nobody waits for it.
        drop(chunks.blocking_send(ended));
    }

    fn write_all(
        &mut self,
        output: &mut Output<'_>,
        mut batches: mpsc::Receiver<Result<Option<Rows>, ExportError>>,
    ) -> Result<(), Stop> {
        let mut row = Vec::new();
        // The end is an explicit message; a closed channel is an error.
        while let Some(batch) = batches.blocking_recv().unwrap_or(Err(ExportError::Stopped))? {
            for fields in batch.fields.chunks_exact(WIDTH) {
                let mut call = Call::of(fields)?;
                if let (Some(names), Some(agent)) = (&self.names, call.agent_id) {
                    call.agent_name = names.get(&agent).cloned();
                }
                output.read(call.started_at);
                match &mut self.content {
                    Producing::Calls(calls) => {
                        calls.fill(call, &mut row)?;
                        output.row(&row)?;
                    }
                    Producing::Focus(focus) => focus.add(&call, output)?,
                }
            }
            output.pass_on_enough()?;
        }
        if let Producing::Focus(focus) = &mut self.content {
            focus.finish(output)?;
        }
        Ok(())
    }
}
