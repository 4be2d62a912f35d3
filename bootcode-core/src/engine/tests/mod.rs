mod crash;
mod driver;
mod instances;
mod retention;
mod steps;
mod worker;
mod world;
