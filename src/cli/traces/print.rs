//! What `apex traces show` prints.

use super::drawn::{Drawn, DrawnCall, DrawnSpan, DrawnTotals};
use crate::cli::output::{self, Format};
use projections::MAX_REPORT_CALLS;

const HEADER: [&str; 8] = ["span", "status", "duration_ms", "model_or_tool", "input", "output", "cost", "span_id"];
/// The deepest level that is indented: those inside of it are drawn below each other.
const MAX_INDENT: u32 = 40;

impl Drawn {
    pub(super) fn print(&self, format: Format) -> anyhow::Result<()> {
        let rows: Vec<_> = self.spans.iter().map(row).collect();
        let header = HEADER.map(str::to_owned);
        match format {
            Format::Json => output::json(self)?,
            Format::Csv => output::csv(&header, &rows)?,
            Format::Table => output::table(&header, &rows, 2..3)?,
        }
        self.describe();
        Ok(())
    }

    fn describe(&self) {
        let count = self.spans.len();
        let took = self.duration_us.map_or_else(String::new, |us| format!(" in {} ms", milliseconds(us)));
        say!("Trace {}: {count} spans{took}.", self.trace_id);
        match &self.totals {
            Some(DrawnTotals { calls, tool_calls, input_tokens, output_tokens, cost }) => {
                let cost = cost.as_ref().map_or_else(|| "no known cost".to_owned(), |cost| format!("${cost}"));
                say!(
                    "{calls} calls and {tool_calls} tool calls: {input_tokens} input and {output_tokens} output tokens, {cost}."
                );
            }
            None => say!("It has more than {MAX_REPORT_CALLS} calls, which are not summed up."),
        }
        if self.is_truncated {
            say!("Spans were left out, because there are too many. Its calls are complete.");
        }
    }
}

fn row(span: &DrawnSpan) -> Vec<String> {
    let DrawnSpan { span_id, depth, name, status, status_message, duration_us, call, .. } = span;
    let indent = "  ".repeat(usize::try_from((*depth).min(MAX_INDENT)).unwrap_or(0));
    let name = name.as_deref().unwrap_or("(no name)");
    let status =
        status_message.as_ref().map_or_else(|| status.clone(), |message| format!("{status}: {}", line(message)));
    let duration = duration_us.map(milliseconds).unwrap_or_default();
    let [of, input, output, cost] = call.as_ref().map(cells).unwrap_or_default();
    vec![format!("{indent}{}", line(name)), status, duration, of, input, output, cost, span_id.clone()]
}

fn cells(call: &DrawnCall) -> [String; 4] {
    let DrawnCall { model, tool, input_tokens, output_tokens, cost, .. } = call;
    let of = tool.as_ref().or(model.as_ref()).map(|name| line(name)).unwrap_or_default();
    let tokens = |count: u64| if tool.is_some() { String::new() } else { count.to_string() };
    let cost = cost.as_ref().map(ToString::to_string).unwrap_or_default();
    [of, tokens(*input_tokens), tokens(*output_tokens), cost]
}

/// Text on one line, without what a terminal would take for a command.
fn line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Microseconds as milliseconds.
fn milliseconds(us: u64) -> String {
    format!("{}.{:03}", us / 1_000, us % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_indented_by_its_depth_and_has_what_its_call_cost() {
        let call = DrawnCall {
            id: uuid::Uuid::nil(),
            kind: "llm".to_owned(),
            model: Some("m".to_owned()),
            tool: None,
            input_tokens: 10,
            output_tokens: 2,
            cost: domain::Sum::parse("0.25").ok(),
        };
        let span = |depth, call| DrawnSpan {
            span_id: "00000000000000a1".to_owned(),
            parent_span_id: None,
            depth,
            name: Some("a\u{1b}[2Jb\nc".to_owned()),
            kind: None,
            started_at: None,
            duration_us: Some(1_234_005),
            status: "error".to_owned(),
            status_message: Some("gave\nup".to_owned()),
            service: None,
            agent_id: None,
            call,
        };
        assert_eq!(
            row(&span(2, Some(call))),
            ["    a [2Jb c", "error: gave up", "1234.005", "m", "10", "2", "0.25", "00000000000000a1"]
        );
        // A trace may be as deep as it has spans.
        assert_eq!(row(&span(9_999, None))[0].len(), 80 + "a [2Jb c".len());
    }
}
