mod laws;
mod stories;
mod world;
