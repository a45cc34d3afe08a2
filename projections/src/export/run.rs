//! An export from its snapshot to its last byte.

use super::calls::Calls;
use super::chunk::ExportChunk;
use super::error::ExportError;
use super::focus::{Focus, FocusVersion};
use super::producer::{Producer, Producing};
use super::reader::{AgentNames, Expected, ExportQuery, MAX_WAITING_BATCHES, Reader, agent_names, expected};
use super::writer::{ExportFormat, Writer};
use crate::report::position;
use domain::TenantId;
use domain::permissions::{Access, ReadCalls, ReadReports};
use domain::price_book::PriceBook;
use streams::{Position, TenantReads};
use tokio::sync::mpsc;

/// The read model that is exported.
const CALLS: &str = "calls";
/// How many parts of an export wait for who receives it.
const MAX_WAITING_CHUNKS: usize = 2;

/// What an export has rows for.
enum Content {
    Calls,
    Focus(FocusVersion),
}

/// An export whose snapshot is taken, and of which nothing is read yet.
pub struct OpenExport {
    /// The export contains every call up to this position.
    pub position: Position,
    /// The sums that reports read of the same calls; none where no sums are kept of the time range.
    pub expected: Option<Expected>,
    tenant: TenantId,
    names: AgentNames,
    reader: Reader,
    content: Content,
}

impl OpenExport {
    /// Takes the snapshot of an export with a row for each call that the access is to.
    ///
    /// # Errors
    /// [`ExportError`] if the range is empty, or the database cannot be read.
    pub async fn calls(
        reads: &TenantReads,
        access: &Access<ReadCalls>,
        query: &ExportQuery,
    ) -> Result<Self, ExportError> {
        Self::open(reads, access, query, Content::Calls).await
    }

    /// Takes the snapshot of an export of what calls cost, in the form of FOCUS. The rows are sums, as those of a report.
    ///
    /// # Errors
    /// [`ExportError`] if the range is empty or not one of whole days, or the database cannot be read.
    pub async fn focus(
        reads: &TenantReads,
        access: &Access<ReadReports>,
        query: &ExportQuery,
        version: FocusVersion,
    ) -> Result<Self, ExportError> {
        query.range.check()?;
        query.range.check_days()?;
        Self::open(reads, access, query, Content::Focus(version)).await
    }

    async fn open<A>(
        reads: &TenantReads,
        access: &Access<A>,
        query: &ExportQuery,
        content: Content,
    ) -> Result<Self, ExportError> {
        query.range.check()?;
        let mut transaction = reads.begin_snapshot(access).await?;
        let position = position(&mut transaction, &[CALLS]).await?;
        let (tenant, agents) = (access.tenant().clone(), access.agents());
        let expected = expected(&mut transaction, (&tenant, agents), query).await?;
        let names = agent_names(&mut transaction, &tenant).await?;
        let reader = Reader::new(transaction, agents, query, names.is_some()).await?;
        Ok(Self { position, expected, tenant, names, reader, content })
    }

    /// Starts the export. The price book has to be at least as new as the snapshot.
    ///
    /// # Errors
    /// [`ExportError`] if the file cannot be begun.
    pub fn start(self, book: PriceBook, format: ExportFormat) -> Result<ExportStream, ExportError> {
        let Self { position, expected, tenant, names, reader, content } = self;
        let content = match content {
            Content::Calls => Producing::Calls(Box::new(Calls::new(book))),
            Content::Focus(version) => {
                let cost = expected.as_ref().map(|expected| expected.cost.clone());
                Producing::Focus(Box::new(Focus::new(book, &tenant, version, cost)))
            }
        };
        let producer = Producer { content, names };
        let writer = Writer::new(format, &producer.columns(), position.get())?;
        let (batches, read) = mpsc::channel(MAX_WAITING_BATCHES);
        let (chunks, written) = mpsc::channel(MAX_WAITING_CHUNKS);
        tokio::spawn(async move {
            let read = reader.read(&batches).await;
            // An error means that nobody waits for it.
            drop(batches.send(read.map(|()| None)).await);
        });
        tokio::task::spawn_blocking(move || producer.run(writer, read, &chunks));
        Ok(ExportStream { chunks: written, is_complete: false })
    }
}

/// The bytes of an export. If it is dropped, reading ends with the page that is being read.
pub struct ExportStream {
    chunks: mpsc::Receiver<Result<Option<ExportChunk>, ExportError>>,
    is_complete: bool,
}

impl ExportStream {
    /// The next part; none at the end of a complete export.
    ///
    /// # Errors
    /// [`ExportError`] if the rest cannot be had.
    pub async fn next(&mut self) -> Result<Option<ExportChunk>, ExportError> {
        if self.is_complete {
            return Ok(None);
        }
        // The end is an explicit message; a closed channel is an error.
        let chunk = self.chunks.recv().await.unwrap_or(Err(ExportError::Stopped))?;
        self.is_complete = chunk.is_none();
        Ok(chunk)
    }
}
