mod crash;
mod simulation;
mod steps;
mod worker;
mod world;
