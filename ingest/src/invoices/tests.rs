use super::number::number;
use super::*;
use domain::Meter;
use std::io::Cursor;

fn options(columns: &[&str], meters: &[&str]) -> InvoiceOptions {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    InvoiceOptions {
        provider: Name::new("acme").ok(),
        columns: InvoiceColumns::parse(&texts(columns)).unwrap(),
        meters: MeterNames::parse(&texts(meters)).unwrap(),
        ..InvoiceOptions::default()
    }
}

fn read(format: InvoiceFormat, options: &InvoiceOptions, text: &str) -> Result<ReadInvoice, String> {
    let read = read_invoice(format, options, Box::new(Cursor::new(text.to_owned())));
    read.map_err(|error| error.to_string())
}

/// Line, day, model, meter, quantity, amount, tier.
fn rows(invoice: &ReadInvoice) -> Vec<String> {
    let figure = |figure: Option<Figure>| figure.map_or_else(|| "-".to_owned(), |figure| figure.to_string());
    let text = |name: &Option<Name>| name.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let row = |line: &InvoiceLine| {
        let meter = line.meter.map_or("-", Meter::name);
        let (quantity, amount) = (figure(line.quantity), figure(line.amount));
        format!("{} {} {} {meter} {quantity} {amount} {}", line.line, line.day, text(&line.model), text(&line.tier))
    };
    invoice.lines.iter().map(row).collect()
}

fn refused(invoice: &ReadInvoice) -> Vec<String> {
    invoice.refused.iter().map(ToString::to_string).collect()
}

#[test]
fn columns_and_meters_of_csv_are_read_as_options_name_them() {
    let text = "Date;Model;Unit;Qty;Cost\n01/03/2026;gpt-4o;Input tokens (1K);1.200,5;3,00\n\
                01/03/2026;gpt-4o;Cached input;;0,25\n31/03/2026;gpt-4o;Total;;3,25\n";
    let named = ["day=Date,model=Model,meter=Unit", "quantity=Qty,amount=Cost"];
    let options = InvoiceOptions {
        day_format: Some("%d/%m/%Y".to_owned()),
        decimal_mark: DecimalMark::Comma,
        ..options(&named, &["Input tokens (1K)=input*1000", "total=-"])
    };
    let invoice = read(InvoiceFormat::Csv, &options, text).unwrap();
    let right = ["2 2026-03-01 gpt-4o input 1200500 3 -", "3 2026-03-01 gpt-4o cache_read - 0.25 -"];
    assert_eq!(rows(&invoice), right);
    let header = &invoice.header;
    assert_eq!((header.from.to_string(), header.to.to_string()), ("2026-03-01".to_owned(), "2026-04-01".to_owned()));
    assert_eq!((header.amount.to_string(), header.amount_places, header.lines), ("3.25".to_owned(), 2, 2));
    assert_eq!((invoice.empty_rows, invoice.quantities.len()), (1, 1));
    assert_eq!(header.content, LinesHash::of(&invoice.lines).id());
}

#[test]
fn amounts_are_taken_to_be_rounded_to_cents_or_finer() {
    let places = |rows: &str| {
        let text = format!("day,meter,quantity,amount\n{rows}");
        read(InvoiceFormat::Csv, &options(&[], &[]), &text).unwrap().header.amount_places
    };
    for (rows, right) in [
        ("2026-03-01,input,1,100\n", 2),
        ("2026-03-01,input,1,10.5\n2026-03-01,output,1,3.00\n", 2),
        ("2026-03-01,input,1,10.5\n2026-03-01,output,1,0.1234\n", 4),
        ("2026-03-01,input,1,10.5\n2026-03-01,output,1,\n", 2),
        // Nothing is rounded of an export without amounts.
        ("2026-03-01,input,1,\n", 12),
    ] {
        assert_eq!(places(rows), right, "{rows}");
    }
}

#[test]
fn rows_of_csv_that_cannot_be_read_are_refused_with_their_line_and_the_others_read() {
    let text = "day,model,meter,quantity,amount,currency\n2026-03-01,m,input,1,0.5,USD\n03/01/2026,m,input,1,1,\n\
                2026-03-01,m,minutes,1,1,\n2026-03-01,m,input,-1,1,\n2026-03-01,m,input,x,1,\n2026-03-01,m,input,1,1,EUR\n\
                2026-03-01,m,input,,,\n2026-03-01,m,input\n2026-05-01,m,input,1,1,\n2026-03-01,m,input,1,1234567890123456,\n";
    let period = InvoiceOptions { from: "2026-03-01".parse().ok(), to: "2026-04-01".parse().ok(), ..options(&[], &[]) };
    let invoice = read(InvoiceFormat::Csv, &period, text).unwrap();
    assert_eq!(rows(&invoice), ["2 2026-03-01 m input 1 0.5 -"]);
    let found = refused(&invoice);
    let right = [
        "line 3: \"03/01/2026\" is not a day",
        "line 4: \"minutes\" is no meter",
        "line 5: quantity: \"-1\" is below zero",
        "line 6: quantity: \"x\" is not a number",
        "line 7: the currency is \"EUR\"",
        "line 8: it has no quantity and no amount",
        "line 9: it has 3 columns instead of 6",
        "line 10: 2026-05-01 is not in the period from 2026-03-01 to 2026-04-01",
        "line 11: amount: \"1234567890123456\" has more than 15 digits",
    ];
    assert_eq!(found.len(), right.len(), "{found:#?}");
    for (found, right) in found.iter().zip(right) {
        assert!(found.starts_with(right), "{found} instead of {right}");
    }
}

#[test]
fn files_that_are_no_invoice_are_refused_as_a_whole() {
    let none = options(&["day=Date"], &[]);
    for (format, options, text, right) in [
        (InvoiceFormat::Csv, &none, "day,amount\n2026-03-01,1\n", "no column \"Date\" for day"),
        (InvoiceFormat::Csv, &options(&[], &[]), "day,model\n2026-03-01,m\n", "no column \"amount\""),
        (InvoiceFormat::Csv, &options(&[], &[]), "day,amount\nx,1\n", "no line with a quantity or an amount: line 2:"),
        (InvoiceFormat::Csv, &options(&[], &[]), "", "no column \"day\""),
        (InvoiceFormat::Csv, &none, "day,amount\n2026-03-01,1\n", "--columns day=COLUMN"),
        (
            InvoiceFormat::Csv,
            &options(&[], &[]),
            "day,amount,Amount,amount\n2026-03-01,1,2,3\n",
            "more than one column \"amount\"",
        ),
        (InvoiceFormat::Csv, &InvoiceOptions::default(), "day,amount\n2026-03-01,1\n", "names no provider"),
        (InvoiceFormat::Openai, &none, "{}", "a page with a list \"data\" is missing"),
        (InvoiceFormat::Openai, &none, "a,b\n1,2\n", "is missing"),
        (InvoiceFormat::Anthropic, &none, "{\"data\":[", "is not the JSON"),
        (InvoiceFormat::Anthropic, &none, "{\"data\":[],\"has_more\":true,\"next_page\":\"p2\"}", "the page \"p2\""),
        (InvoiceFormat::Anthropic, &none, "{\"data\":[],\"has_more\":false}", "no line"),
    ] {
        let error = read(format, options, text).unwrap_err();
        assert!(error.contains(right), "{text}: {error}");
    }
    let form = InvoiceOptions { day_format: Some("%Q".to_owned()), ..options(&[], &[]) };
    let error = read(InvoiceFormat::Csv, &form, "day,amount\n2026-03-01,1\n").unwrap_err();
    assert!(error.contains("%Q"), "{error}");
}

#[test]
fn the_name_of_a_column_may_have_commas() {
    let named = options(&["day=Date,amount=Cost (USD, without tax),meter=Unit"], &[]);
    let text = "Date,Unit,\"Cost (USD, without tax)\"\n2026-03-01,input,0.5\n";
    let invoice = read(InvoiceFormat::Csv, &named, text).unwrap();
    assert_eq!(rows(&invoice), ["2 2026-03-01 - input - 0.5 -"]);
}

#[test]
fn options_that_name_no_column_or_meter_are_refused() {
    for text in ["day", "dag=x", "day=a,day=b"] {
        assert!(InvoiceColumns::parse(&[text.to_owned()]).is_err(), "{text}");
    }
    for text in ["input", "x=inputs", "x=input*0", "x=input*z", "x=input*1000000001"] {
        assert!(MeterNames::parse(&[text.to_owned()]).is_err(), "{text}");
    }
}

#[test]
fn numbers_are_read_exactly_in_the_ways_that_invoices_write_them() {
    let point = |text: &str| number(text, DecimalMark::Point).map(|(figure, rounded)| (figure.to_string(), rounded));
    for (text, right) in [
        ("1,234.50", "1234.5"),
        ("$0.10", "0.1"),
        ("-$2", "-2"),
        ("(2.5)", "-2.5"),
        ("1.5 USD", "1.5"),
        ("1.2345e-05", "0.000012345"),
        ("12E2", "1200"),
        (".5", "0.5"),
        ("0", "0"),
        ("0.000000000001", "0.000000000001"),
    ] {
        assert_eq!(point(text).unwrap(), (right.to_owned(), false), "{text}");
    }
    // Half to even at the twelfth place.
    for (text, right) in [
        ("0.0144299999999999995", "0.01443"),
        ("0.0000000000005", "0"),
        ("0.0000000000015", "0.000000000002"),
        ("0.00000000000051", "0.000000000001"),
    ] {
        assert_eq!(point(text).unwrap(), (Figure::parse(right).unwrap().to_string(), true), "{text}");
    }
    for text in ["", "-", ".", "1,23.4", "12,34", "1.2.3", "1e99", "0x1", "1 2", "e5", "NaN", "1,2345", "--1"] {
        assert!(point(text).is_err(), "{text}");
    }
    assert_eq!(number("1.234,56", DecimalMark::Comma).unwrap().0.to_string(), "1234.56");
    assert!(number("1.234,56", DecimalMark::Point).is_err());
}

/// In the form of the documents of OpenAI's usage API.
const OPENAI_USAGE: &str = r#"{"object":"page","data":[
    {"object":"bucket","start_time":1772323200,"end_time":1772409600,"results":[
        {"object":"organization.usage.completions.result","input_tokens":5000,"output_tokens":1000,
         "input_cached_tokens":4000,"input_audio_tokens":300,"output_audio_tokens":200,"num_model_requests":5,
         "project_id":"proj_a","user_id":null,"api_key_id":"key_a","model":"gpt-4o-mini-2024-07-18","batch":true,
         "service_tier":"default"},
        {"object":"organization.usage.embeddings.result","input_tokens":20,"num_model_requests":2,"model":"text-embedding-3-small"},
        {"object":"organization.usage.completions.result","input_tokens":10,"input_cached_tokens":11,"output_tokens":1,
         "model":"m"},
        {"object":"organization.usage.vector_stores.result","usage_bytes":7}]},
    {"object":"bucket","start_time":1772409600,"end_time":1772496000,"results":[]}],
    "has_more":false,"next_page":null}"#;

#[test]
fn usage_of_openai_is_read_without_what_is_inside_of_other_fields() {
    let invoice = read(InvoiceFormat::Openai, &InvoiceOptions::default(), OPENAI_USAGE).unwrap();
    let right = [
        "1 2026-03-01 gpt-4o-mini-2024-07-18 input 700 - batch",
        "1 2026-03-01 gpt-4o-mini-2024-07-18 cache_read 4000 - batch",
        "1 2026-03-01 gpt-4o-mini-2024-07-18 output 800 - batch",
        "1 2026-03-01 gpt-4o-mini-2024-07-18 audio_input 300 - batch",
        "1 2026-03-01 gpt-4o-mini-2024-07-18 audio_output 200 - batch",
        "2 2026-03-01 text-embedding-3-small input 20 - -",
    ];
    assert_eq!(rows(&invoice), right);
    assert_eq!(invoice.lines[0].reference.as_ref().map(Name::as_str), Some("proj_a key_a"));
    assert_eq!(refused(&invoice).len(), 2, "{:?}", invoice.refused);
    assert!(refused(&invoice)[0].contains("line 3: the tokens that input_tokens includes"), "{:?}", invoice.refused);
    let header = &invoice.header;
    assert_eq!((header.provider.as_str(), header.to.to_string()), ("openai", "2026-03-03".to_owned()));
    assert_eq!(invoice.empty_rows, 1);
}

#[test]
fn costs_of_openai_are_read_by_their_line_items() {
    let text = r#"{"object":"page","data":[{"object":"bucket","start_time":1772323200,"end_time":1772409600,"results":[
        {"object":"organization.costs.result","amount":{"value":0.06,"currency":"usd"},"line_item":"gpt-4o-2024-08-06, input","project_id":"p"},
        {"object":"organization.costs.result","amount":{"value":1.4e-5,"currency":"usd"},"line_item":"gpt-4o-2024-08-06, cached input"},
        {"object":"organization.costs.result","amount":{"value":"0.25","currency":"usd"},"line_item":"web search, gpt-4o"},
        {"object":"organization.costs.result","amount":{"value":1,"currency":"eur"},"line_item":null},
        {"object":"organization.costs.result","amount":{"value":0.0144299999999999995,"currency":"usd"},"line_item":null}]}],
        "has_more":false}"#;
    let invoice = read(InvoiceFormat::Openai, &InvoiceOptions::default(), text).unwrap();
    let right = [
        "1 2026-03-01 gpt-4o-2024-08-06 input - 0.06 -",
        "2 2026-03-01 gpt-4o-2024-08-06 cache_read - 0.000014 -",
        "3 2026-03-01 web search, gpt-4o - - 0.25 -",
        "5 2026-03-01 - - - 0.01443 -",
    ];
    assert_eq!(rows(&invoice), right);
    assert_eq!(
        (refused(&invoice), invoice.rounded_amounts),
        (vec!["line 4: the currency is \"eur\": only USD is compared".to_owned()], 1)
    );
}

#[test]
fn the_csv_of_the_dashboard_of_openai_is_read_by_the_same_fields() {
    let costs = "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item,project_id\n\
        1772323200,1772409600,2026-03-01T00:00:00+00:00,2026-03-02T00:00:00+00:00,0.5,usd,250000,tokens,\"gpt-4o, input\",p\n\
        1772409600,1772496000,2026-03-02T00:00:00+00:00,2026-03-03T00:00:00+00:00,,,,,,\n";
    let invoice = read(InvoiceFormat::Openai, &InvoiceOptions::default(), costs).unwrap();
    assert_eq!(rows(&invoice), ["2 2026-03-01 gpt-4o input 250000 0.5 -"]);
    assert_eq!((invoice.empty_rows, invoice.header.to.to_string()), (1, "2026-03-03".to_owned()));
    let usage = "start_time,end_time,model,batch,service_tier,input_tokens,output_tokens,input_cached_tokens\n\
        1772323200,1772409600,gpt-4o,False,flex,100,20,60\n";
    let invoice = read(InvoiceFormat::Openai, &InvoiceOptions::default(), usage).unwrap();
    let right = [
        "2 2026-03-01 gpt-4o input 40 - flex",
        "2 2026-03-01 gpt-4o cache_read 60 - flex",
        "2 2026-03-01 gpt-4o output 20 - flex",
    ];
    assert_eq!(rows(&invoice), right);
}

/// In the form of the documents of Anthropic's admin API: two pages, one after the other.
const ANTHROPIC_USAGE: &str = r#"{"data":[{"starting_at":"2026-03-01T00:00:00Z","ending_at":"2026-03-02T00:00:00Z","results":[
    {"uncached_input_tokens":1500,"cache_creation":{"ephemeral_1h_input_tokens":1000,"ephemeral_5m_input_tokens":500},
     "cache_read_input_tokens":200,"output_tokens":500,"server_tool_use":{"web_search_requests":10},
     "api_key_id":"apikey_a","workspace_id":"wrkspc_a","model":"claude-sonnet-4-20250514","service_tier":"batch",
     "context_window":"200k-1M"}]}],"has_more":true,"next_page":"p2"}
    {"data":[{"starting_at":"2026-03-02T00:00:00Z","ending_at":"2026-03-03T00:00:00Z","results":[
    {"uncached_input_tokens":7,"cache_read_input_tokens":0,"output_tokens":0,"model":null,"service_tier":"standard",
     "context_window":"0-200k"}]}],"has_more":false,"next_page":null}"#;

#[test]
fn usage_and_costs_of_anthropic_are_read() {
    let invoice = read(InvoiceFormat::Anthropic, &InvoiceOptions::default(), ANTHROPIC_USAGE).unwrap();
    let model = "claude-sonnet-4-20250514";
    let tier = "batch, 200k-1M";
    let right = [
        format!("1 2026-03-01 {model} input 1500 - {tier}"),
        format!("1 2026-03-01 {model} cache_read 200 - {tier}"),
        format!("1 2026-03-01 {model} cache_write_5min 500 - {tier}"),
        format!("1 2026-03-01 {model} cache_write_1hour 1000 - {tier}"),
        format!("1 2026-03-01 {model} output 500 - {tier}"),
        format!("1 2026-03-01 {model} searches 10 - {tier}"),
        "2 2026-03-02 - input 7 - -".to_owned(),
    ];
    assert_eq!(rows(&invoice), right);
    let costs = r#"[{"data":[{"starting_at":"2026-03-01T00:00:00Z","ending_at":"2026-03-02T00:00:00Z","results":[
        {"amount":"123.45","currency":"USD","cost_type":"tokens","token_type":"uncached_input_tokens","model":"claude-opus-4",
         "service_tier":"standard","context_window":"0-200k","description":"Claude Opus 4 Usage - Input Tokens"},
        {"amount":"0.5","currency":"USD","cost_type":"tokens","token_type":"cache_creation.ephemeral_1h_input_tokens","model":"claude-opus-4"},
        {"amount":"10","currency":"USD","cost_type":"web_search","description":"Web Search Usage","model":null},
        {"amount":"20","currency":"USD","cost_type":"code_execution","description":"Code Execution Usage","model":null},
        {"amount":"1","currency":"USD","cost_type":"tokens","token_type":"dreams","model":"m"}]}],"has_more":false}]"#;
    let invoice = read(InvoiceFormat::Anthropic, &InvoiceOptions::default(), costs).unwrap();
    let right = [
        "1 2026-03-01 claude-opus-4 input - 1.2345 -",
        "2 2026-03-01 claude-opus-4 cache_write_1hour - 0.005 -",
        "3 2026-03-01 - searches - 0.1 -",
        "4 2026-03-01 Code Execution Usage - - 0.2 -",
    ];
    assert_eq!(rows(&invoice), right);
    assert_eq!(refused(&invoice), ["line 5: \"dreams\" is no kind of usage that is read"]);
}

#[test]
fn reading_ends_where_too_many_rows_are_refused() {
    let text = format!("day,amount\n{}", "x,1\n".repeat(MAX_REFUSED_LINES + 1));
    let error = read(InvoiceFormat::Csv, &options(&[], &[]), &text).unwrap_err();
    assert!(error.contains("more than 1000 rows are refused") && error.contains("line 2"), "{error}");
}
