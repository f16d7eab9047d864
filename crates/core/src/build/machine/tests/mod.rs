mod bases;
mod extras;
mod laws;
mod policies;
mod presences;
mod stories;
mod world;
