mod crash;
mod driver;
mod retention;
mod steps;
mod worker;
mod world;
