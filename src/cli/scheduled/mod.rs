//! The runs of schedules on a server: a job makes the file of a run, with the permissions of who defined the schedule.

mod content;
mod files;
mod handler;
mod missed;

pub(super) use handler::ScheduleHandler;
