//! `apex schema`

use super::output;
use anyhow::Context as _;
use domain::{EventSchema, SchemaMatch};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Print the GraphQL schema, or write the JSON Schemas of all events.
///
/// Without a subcommand, the GraphQL schema is printed in the schema definition language.
#[derive(Debug, clap::Args)]
pub(super) struct Schema {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Events(Events),
    /// Print the AsyncAPI document of the Kafka topics
    Asyncapi,
    /// Print the OpenAPI document of the HTTP routes
    Openapi,
}

/// Write the JSON Schema of every version of every event type, one file each.
///
/// Missing files are written. If an existing file has another schema, nothing is written: the event type needs a new
/// version.
#[derive(Debug, clap::Args)]
struct Events {
    /// The directory to write to; it is created if it does not exist
    #[arg(long, value_name = "DIRECTORY")]
    out: PathBuf,
}

impl Schema {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Some(Command::Events(events)) => events.run(&domain::Event::schemas()),
            Some(Command::Asyncapi) => {
                output::write(&crate::asyncapi::document())?;
                Ok(ExitCode::SUCCESS)
            }
            Some(Command::Openapi) => {
                output::write(&api::openapi_document())?;
                Ok(ExitCode::SUCCESS)
            }
            None => {
                output::write(&api::schema_sdl())?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl Events {
    fn run(&self, schemas: &[EventSchema]) -> anyhow::Result<ExitCode> {
        let mut to_write = Vec::new();
        let mut refused = 0;
        for schema in schemas {
            let path = self.out.join(schema.file_name());
            match read(&path)?.map(|kept| schema.compare(&kept)) {
                Some(Ok(SchemaMatch::Identical)) => {}
                Some(Ok(SchemaMatch::SameShape)) | None => to_write.push((path, schema.text())),
                Some(Err(changed)) => {
                    say!("{}: {changed}", path.display());
                    refused += 1;
                }
            }
        }
        if refused > 0 {
            say!(
                "{refused} of {} event schemas have changed without a new version; nothing was written.",
                schemas.len()
            );
            return Ok(ExitCode::FAILURE);
        }
        fs::create_dir_all(&self.out).with_context(|| format!("{} cannot be created", self.out.display()))?;
        for (path, text) in &to_write {
            fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        say!("{} of {} event schemas written; the others are unchanged.", to_write.len(), schemas.len());
        Ok(ExitCode::SUCCESS)
    }
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn the_openapi_document_is_current() {
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/openapi.json");
        let committed = fs::read_to_string(committed).unwrap_or_default();
        let is_current = committed == api::openapi_document();
        assert!(is_current, "write it with `apex schema openapi > schemas/openapi.json`");
    }

    #[test]
    fn missing_schemas_are_written_and_changed_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("events");
        let command = Events { out: out.clone() };
        let schemas = domain::Event::schemas();
        assert_eq!(command.run(&schemas).unwrap(), ExitCode::SUCCESS);
        let written = files(&out);
        assert_eq!(written.len(), schemas.len());
        assert_eq!(written, files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/events")));

        // One is missing, one has another title.
        let (first, last) = (out.join(&written[0].0), out.join(&written[written.len() - 1].0));
        fs::remove_file(&first).unwrap();
        fs::write(&last, written[written.len() - 1].1.replace("\"title\": \"", "\"title\": \"the ")).unwrap();
        assert_eq!(command.run(&schemas).unwrap(), ExitCode::SUCCESS);
        assert_eq!(files(&out), written);

        // One is missing, one has another schema: nothing is written.
        fs::remove_file(&first).unwrap();
        fs::write(&last, written[written.len() - 1].1.replace("uuid", "uri").replace("date-time", "date")).unwrap();
        let before = files(&out);
        assert_eq!(command.run(&schemas).unwrap(), ExitCode::FAILURE);
        assert_eq!(files(&out), before);
    }
}
