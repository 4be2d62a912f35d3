mod attempts;
mod disks;
mod history;
mod properties;
mod rules;
mod writing;
