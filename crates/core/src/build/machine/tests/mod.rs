mod bases;
mod extras;
mod laws;
mod measures;
mod policies;
mod presences;
mod stories;
mod world;
