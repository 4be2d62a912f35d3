mod crash;
mod retention;
mod steps;
mod worker;
mod world;
