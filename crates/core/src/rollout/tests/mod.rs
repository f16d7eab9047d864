mod candidates;
mod decisions;
mod drain;
mod laws;
mod objects;
mod pools;
mod simulation;
