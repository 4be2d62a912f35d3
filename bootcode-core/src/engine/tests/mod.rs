mod crash;
mod steps;
mod worker;
mod world;
