//! An object of another tenant is answered as one that does not exist, so that no query tells what there is elsewhere.

use super::actors::Actor;
use super::schema::Request;
use super::world::{Id, World};
use super::{AT_ONCE, Matrix, shortened};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt as _;
use serde_json::Value;
use uuid::Uuid;

/// The world of another tenant under ids and texts that nobody has, and how each of them is written in both.
fn nowhere(foreign: &World, own: &World) -> (World, Vec<(String, String)>) {
    let mark = format!("zr{}", &Uuid::new_v4().simple().to_string()[..14]);
    let mut nowhere = World { position: foreign.position.clone(), ..World::new(&mark, mark.clone()) };
    let mut written = vec![(foreign.mark.clone(), mark)];
    // Positions are a part of other numbers.
    let is_told = |id: &str| id.parse::<u64>().is_err();
    // Another id of the same form: a position or a UUID, with or without the kind of object.
    let other = |id: &str| if id.parse::<u64>().is_ok() { "987654321".to_owned() } else { Uuid::new_v4().to_string() };
    for (kind, id) in &foreign.ids {
        let uuid = other(&id.uuid);
        let decoded = URL_SAFE_NO_PAD.decode(&id.global).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let global = match decoded.as_deref().and_then(|text| text.split_once(':')) {
            Some((name, _)) => URL_SAFE_NO_PAD.encode(format!("{name}:{uuid}")),
            None => uuid.clone(),
        };
        let pairs = [(id.uuid.clone(), uuid.clone()), (id.global.clone(), global.clone())];
        written.extend(pairs.into_iter().filter(|(id, _)| is_told(id)));
        nowhere.ids.insert(*kind, Id { global, uuid });
    }
    for (category, id) in &foreign.streams {
        // Some ids are the same in each tenant.
        let stream = if own.streams.get(category) == Some(id) { id.clone() } else { other(id) };
        written.push((id.clone(), stream.clone()));
        nowhere.streams.insert(category.clone(), stream);
    }
    (nowhere, written)
}

/// Answers without what the requests named, and without the position up to which a report counts, which grows meanwhile.
fn comparable(mut answer: Value, named: impl Iterator<Item = String>) -> String {
    for field in answer["data"].as_object_mut().into_iter().flat_map(|data| data.values_mut()) {
        if let Some(field) = field.as_object_mut() {
            field.remove("position");
        }
    }
    let answer = answer.to_string();
    named.enumerate().fold(answer, |answer, (number, name)| answer.replace(&name, &format!("<{number}>")))
}

/// Asks for objects of the other tenant, and for what does not exist. Returns what is answered differently.
pub(super) async fn check(matrix: &Matrix, actors: &[Actor]) -> Vec<String> {
    let (nowhere, written) = nowhere(&matrix.foreign, &matrix.own);
    let [foreign, nowhere] = [&matrix.foreign, &nowhere].map(|world| matrix.requests(&["Query"], world));
    let is_compared = |(foreign, nowhere): &(&Request, &Request)| {
        // A cursor is a place in an order, also between what the own tenant has.
        foreign.body != nowhere.body && !foreign.about.starts_with("after") && !foreign.about.starts_with("before")
    };
    assert_eq!(foreign.len(), nowhere.len());
    let compared: Vec<_> = foreign.iter().zip(&nowhere).filter(is_compared).collect();
    assert!(compared.len() > 100, "only {} requests name an object", compared.len());
    // Those that reach the most, and the least.
    let actors = actors.iter().filter(|actor| ["operator token", "agent, bound key"].contains(&&*actor.name));
    let pairs = actors.flat_map(|actor| compared.iter().map(move |pair| (actor, *pair)));
    let (client, written) = (&matrix.client, &written);
    let asked = pairs.map(async |(actor, (foreign, nowhere))| {
        let there = client.ask(&actor.credential, &foreign.body).await;
        let nothing = client.ask(&actor.credential, &nowhere.body).await;
        let there = comparable(there.json, written.iter().map(|(there, _)| there.clone()));
        let nothing = comparable(nothing.json, written.iter().map(|(_, nowhere)| nowhere.clone()));
        let (there, nothing) = (shortened(&there), shortened(&nothing));
        let name = foreign.name();
        (there != nothing)
            .then(|| format!("{}: {name} tells that it exists: {there}\ninstead of {nothing}", actor.name))
    });
    futures::stream::iter(asked).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
}
