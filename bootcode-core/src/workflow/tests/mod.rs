mod attempts;
mod disks;
mod properties;
mod rules;
