use super::*;
use crate::formats::read_records;
use crate::formats::testing::{calls, defaults, into_records, totals};
use domain::Name;

fn columns(texts: &[&str]) -> Columns {
    Columns::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
}

const COLUMNS: [&str; 7] =
    ["time=ts", "prompt=in", "cache_read=cached", "output=usage.out", "agent=who", "tag:env=stage", "cost=usd"];

fn read(format: Format, text: &str, named: &[&str]) -> Vec<Result<Record, String>> {
    let defaults = Defaults { columns: columns(named), ..defaults() };
    let records = read_records(format, defaults, Box::new(std::io::Cursor::new(text.to_owned())));
    let records = records.unwrap().flat_map(into_records);
    records.map(|record| record.map_err(|error| error.to_string())).collect()
}

const CSV_TEXT: &str = "ts,in,cached,usage.out,who,stage,usd,other\n\
    2025-05-01 10:00:00,1200,1000,80,planner,prod,0.01,\"a, b\"\n\
    1746093601,5,,7,,,,x\n";
const JSON_TEXT: &str = "{\"ts\":\"2025-05-01T10:00:00Z\",\"in\":1200,\"cached\":1000,\"usage\":{\"out\":80},\"who\":\"planner\",\
    \"stage\":\"prod\",\"usd\":0.01,\"other\":[]}\n{\"ts\":1746093601,\"in\":\"5\",\"usage\":{\"out\":7.0}}\n";

#[test]
fn columns_are_read_as_options_name_them() {
    for (format, text) in [(Format::Csv, CSV_TEXT), (Format::Jsonl, JSON_TEXT)] {
        let found: Vec<_> = read(format, text, &COLUMNS).into_iter().map(Result::unwrap).collect();
        let right = [(Meter::Input, 205), (Meter::Output, 87), (Meter::CacheRead, 1000)];
        assert_eq!(totals(calls(&found).values()), right, "{format:?}");
        let facts = &found[0].facts;
        assert_eq!(facts.started_at.to_rfc3339(), "2025-05-01T10:00:00+00:00");
        assert_eq!(facts.reported_cost.map(|cost| cost.amount.to_string()).as_deref(), Some("0.01"));
        assert_eq!(
            facts.tags.iter().flat_map(Tags::iter).map(|(_, value)| value.as_str()).collect::<Vec<_>>(),
            ["prod"]
        );
        let agents = [0, 1].map(|at| found[at].agent.as_ref().map(|agent| agent.name.to_string()).unwrap());
        assert_eq!(agents, ["planner", format.as_str()]);
        assert_eq!(facts.model.as_ref().map(Name::as_str), Some("gpt-4o"));
    }
}

#[test]
fn columns_with_the_names_of_fields_need_no_option() {
    let text = "time,model,input,output,provider\n2025-05-01T10:00:00Z,m,1,2,OpenAI\n";
    let found = read(Format::Csv, text, &[]).remove(0).unwrap();
    assert_eq!(found.facts.provider.as_ref().map(Name::as_str), Some("openai"));
    assert_eq!(found.facts.usage.get(Meter::Output).get(), 2);
}

#[test]
fn options_never_change_which_call_it_is() {
    let text = "time,id,input\n2025-05-01T10:00:00Z,msg_1,1\n2025-05-01T10:00:00Z,msg_1,1\n";
    let ids = |named: &[&str]| -> Vec<_> {
        read(Format::Csv, text, named).into_iter().map(|record| record.unwrap().call_ids).collect()
    };
    let (plain, named) = (ids(&[]), ids(&["response_id=id"]));
    assert_ne!(plain[0], plain[1], "equal rows are as many calls");
    for (plain, named) in plain.iter().zip(&named) {
        assert!(plain.iter().all(|id| named.iter().any(|other| other == id)));
    }
    assert_eq!(ids(&["response_id=id"]).len(), 2);
}

#[test]
fn bad_rows_are_refused_and_the_others_read() {
    let text = "time,input\nnow,1\n2025-05-01T10:00:00Z,-1\n2025-05-01T10:00:00Z,1.5\n2025-05-01T10:00:00Z\n\
                2025-05-01T10:00:00Z,\n2025-05-01T10:00:00Z,1\n";
    let found = read(Format::Csv, text, &[]);
    let refused: Vec<_> = found.iter().filter_map(|record| record.as_ref().err().map(String::as_str)).collect();
    assert_eq!(
        refused,
        [
            "line 2: time is \"now\", which is not a time of this format",
            "line 3: input: -1 is negative; a quantity is 0 or more",
            "line 4: input is \"1.5\", which is not a whole number",
            "line 5: 1 columns instead of 2",
            "line 6: the row states no usage",
        ]
    );
    assert!(found[5].is_ok());
}

#[test]
fn a_column_that_is_missing_is_named_with_those_that_there_are() {
    let defaults = Defaults { columns: columns(&["input=tokens"]), ..defaults() };
    let error = read_records(Format::Csv, defaults, Box::new(&b"time,in\n"[..])).err().unwrap().to_string();
    assert!(
        error.contains("no column \"tokens\" for input; its columns are \"time, in\"") || error.contains("time, in"),
        "{error}"
    );
    assert!(matches!(Columns::parse(&["x".to_owned()]), Err(ColumnError::Form(_))));
    let error = Columns::parse(&["tokens=x".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("\"tokens\" is no field") && error.contains("cache_read"), "{error}");
}

#[test]
fn other_separators_and_a_byte_order_mark_are_read() {
    for text in ["\u{feff}time;input\n2025-05-01T10:00:00Z;1", "time\tinput\n2025-05-01T10:00:00Z\t1"] {
        assert_eq!(read(Format::Csv, text, &[]).remove(0).unwrap().facts.usage.get(Meter::Input).get(), 1, "{text}");
    }
}

#[test]
fn a_field_without_an_end_is_bounded() {
    let long = std::io::Read::chain(&b"time,input\n\""[..], std::io::Read::take(std::io::repeat(b'x'), 100 << 20));
    let mut records = read_records(Format::Csv, defaults(), Box::new(long)).unwrap();
    let error = records.next().unwrap().unwrap_err();
    assert!(matches!(error, RecordError::Input(_)), "{error}");
}

/// A size in inches is no field in quotes.
#[test]
fn a_quote_inside_a_field_opens_none() {
    let long = "x".repeat(1 << 20);
    let row = |other: &str| format!("2025-05-01T10:00:00Z,1,{other}\n");
    let text = format!("time,input,other\n{}{}{}", row("5\""), row("\"a\"\"\n,\"b\""), row(&long).repeat(20));
    assert_eq!(read(Format::Csv, &text, &[]).into_iter().map(Result::unwrap).count(), 22);
}
