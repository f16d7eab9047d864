mod bases;
mod laws;
mod policies;
mod presences;
mod stories;
mod world;
