//! What a front end hands on of an export, whatever its signal and its encoding.

use super::attributes::Attributes;

/// Takes the resources and scopes of an export in their order. The items of the signal follow their scope.
pub(crate) trait Sink {
    /// Starts a resource: the items that follow belong to it.
    fn start_resource(&mut self);

    /// Sets the attributes of the current resource. In JSON they may follow its items.
    fn set_resource(&mut self, attributes: Attributes) -> Result<(), &'static str>;

    /// Starts an instrumentation scope: the items that follow belong to it.
    fn start_scope(&mut self);

    /// Sets the name of the current scope.
    fn set_scope(&mut self, name: &str);

    /// Notes that the input holds nothing of the signal, but an object with this key. Returns an error to stop with.
    fn not_of_signal(&mut self, key: &str) -> &'static str;

    /// Notes that a key is written in another way than OTLP's JSON has it. Returns an error to stop with.
    fn misspelled(&mut self, key: &str, expected: &'static str) -> &'static str;
}
