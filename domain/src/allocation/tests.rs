mod rules;
mod statements;
