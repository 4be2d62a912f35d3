mod crash;
mod simulation;
mod worker;
mod world;
