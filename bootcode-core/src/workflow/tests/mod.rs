mod attempts;
mod disks;
mod history;
mod instances;
mod properties;
mod rules;
mod writing;
