mod disks;
mod properties;
mod rules;
