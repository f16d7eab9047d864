mod bases;
mod laws;
mod policies;
mod stories;
mod world;
