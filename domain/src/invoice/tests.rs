mod aggregate;
mod causes;
mod document;
mod fixture;
mod properties;
