//! Sign-in by identity providers: against a real OpenID provider that each test starts for itself, and against a hostile one that
//! signs whatever it is told to. `scripts/node-packages.sh` installs both.

mod browser;
mod chromium;
mod hostile;
mod people;
mod providers;
mod sign_in;
